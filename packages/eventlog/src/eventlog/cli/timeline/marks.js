// The marks of types. Colour and shape both tell: six colours and seven shapes make 42 marks before one comes again.

const SVG = "http://www.w3.org/2000/svg";
const COLOURS = 6;
const polygon = (radius, corners, turn = 0, inner = radius) => {
  const points = Array.from({ length: corners }, (_none, corner) => {
    const angle = (turn + corner / corners) * 2 * Math.PI, far = corner % 2 ? inner : radius;
    return `${(far * Math.sin(angle)).toFixed(2)} ${(-far * Math.cos(angle)).toFixed(2)}`;
  });
  return `M${points.join("L")}Z`;
};
const SHAPES = [
  radius => `M${-radius} 0A${radius} ${radius} 0 1 1 ${radius} 0A${radius} ${radius} 0 1 1 ${-radius} 0Z`,
  radius => polygon(radius * 1.25, 4),
  radius => polygon(radius * 1.25, 4, 1 / 8),
  radius => polygon(radius * 1.3, 3),
  radius => polygon(radius * 1.3, 3, 1 / 2),
  radius => polygon(radius * 1.4, 10, 0, radius * 0.6),
  radius => {
    const far = radius * 1.15, near = radius * 0.42;
    const right = `H${near}V${-near}H${far}V${near}H${near}V${far}`;
    return `M${-near} ${-far}${right}H${-near}V${near}H${-far}V${-near}H${-near}Z`;
  },
];

/** An SVG element with attributes and children. */
function svg(name, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** An HTML element with attributes and children; texts are texts, whatever they hold. */
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children.filter(child => child !== null));
  return made;
}

const colourOf = type => `c${(type ?? 0) % COLOURS}`;

/** The mark of a type around a point. Of a root that is not there, only the outline. */
function mark(type, x, y, radius, gone = null) {
  const shape = SHAPES[(type ?? 0) % SHAPES.length](radius), strike = `M${-radius} ${radius}L${radius} ${-radius}`;
  const drawn = svg("g", { class: `mark ${colourOf(type)} ${gone ?? ""}`, transform: `translate(${x} ${y})` });
  drawn.append(svg("path", { d: shape }));
  if (gone === "expired") drawn.append(svg("path", { class: "strike", d: strike }));
  return drawn;
}

/** The mark as a picture within a text. */
function icon(type, gone = null) {
  return svg("svg", { class: "icon", viewBox: "-10 -10 20 20", "aria-hidden": "true" }, mark(type, 0, 0, 6.5, gone));
}
