"""Switches of mrjob 0.7 that are not honoured, and why. Those of clouds first."""

from typing import Final

CLOUD: Final = "it belongs to EMR and Dataproc: start the cluster yourself, and use -r hadoop or -r spark"


def _words(text: str) -> list[str]:
    return text.split()


OF_CLOUDS: Final = _words(
    """
    --cloud-upload-part-size --gcp-project
    --add-steps-in-batch --no-add-steps-in-batch --additional-emr-info --applications --application --bootstrap
    --bootstrap-action --bootstrap-mrjob --no-bootstrap-mrjob --bootstrap-python --no-bootstrap-python
    --bootstrap-spark --no-bootstrap-spark --check-cluster-every --cloud-fs-sync-secs --cloud-log-dir
    --cloud-part-size-mb --cloud-tmp-dir --cluster-id --cluster-property --core-instance-bid-price
    --core-instance-config --core-instance-type --docker-client-config --docker-image --no-docker --docker-mount
    --ebs-root-volume-gb --ec2-endpoint --ec2-key-pair --ec2-key-pair-file --emr-action-on-failure
    --emr-configuration --emr-endpoint --enable-emr-debugging --disable-emr-debugging --extra-cluster-param
    --gcloud-bin --gcs-region --iam-endpoint --iam-instance-profile --iam-service-role --image-id
    --image-version --instance-fleets --instance-groups --instance-type --master-instance-bid-price
    --master-instance-config --master-instance-type --max-clusters-in-pool --max-concurrent-steps
    --max-mins-idle --min-available-mb --min-available-virtual-cores --network --num-core-instances
    --num-task-instances --pool-clusters --no-pool-clusters --pool-jitter-seconds --pool-name
    --pool-timeout-minutes --pool-wait-minutes --project-id --region --release-label --s3-endpoint --s3-region
    --service-account --service-account-scopes --ssh-add-bin --ssh-bin --ssh-bind-ports --ssh-tunnel
    --no-ssh-tunnel --ssh-tunnel-is-open --ssh-tunnel-is-closed --subnet --subnets --tag
    --task-instance-bid-price --task-instance-config --task-instance-type --zone
    """
)
REFUSED: Final[dict[str, str]] = dict.fromkeys(OF_CLOUDS, CLOUD) | {
    "--spark": "steps of Spark are not run here: give the script to spark-submit",
    "--step-output-dir": "nothing is written between steps: the reduce of one and the map of the next are one task",
    "--setup": "it is a shell's, and no shell is started here; give what the job needs with --files and --py-files",
    "--sh-bin": "no shell is started here",
    "--spark-submit-bin": "Spark is started by PySpark, which comes with mrjerb[spark]",
    "--hadoop-args": "give properties with -D, and jars with --libjars",
    "--no-emulate-map-input-file": "which file is read is always told",
    "--sort-bin": "sorting is mrjerb's own, within its memory",
    "--python-bin": "tasks run in the Python that you start the job with",
    "--task-python-bin": "tasks run in the Python that you start the job with",
    "--max-output-files": "an output has as many parts as there are reducers: -D mapreduce.job.reduces=N",
    "--no-check-input-paths": "inputs are always checked before anything is started",
    "--read-logs": "the job's own traceback is shown without reading logs",
    "--no-read-logs": "the job's own traceback is shown without reading logs",
    "--skip-internal-protocol": "what passes between steps always goes through the internal protocol",
    "--no-skip-internal-protocol": "what passes between steps always goes through the internal protocol",
    "--hadoop-log-dirs": "the job's own traceback is shown without reading logs",
    "--hadoop-version": "the version is asked of the hadoop command itself",
    "--spark-tmp-dir": "the output's own folder is where Spark writes",
}
