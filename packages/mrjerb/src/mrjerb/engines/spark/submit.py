"""The command `mrjerb` as a file, which is what `spark-submit` takes.

    spark-submit --master yarn --num-executors 8 $(python -m mrjerb.engines.spark) run JOB.py INPUT -o OUTPUT --on spark

The job then runs in the JVM that `spark-submit` has started, with the settings that it was given.
"""

from mrjerb.cli import main

if __name__ == "__main__":
    main()
