// Reads the values under the pointer out of each chart, whose points are in its data.
for (const figure of document.querySelectorAll("figure[data-points]")) {
  const points = JSON.parse(figure.dataset.points);
  const svg = figure.querySelector("svg");
  const cursor = svg.querySelector(".cursor");
  const output = figure.querySelector("output");
  const nearest = (x) => {
    let low = 0, high = points.x.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (points.x[middle] < x) low = middle + 1; else high = middle;
    }
    return low > 0 && x - points.x[low - 1] < points.x[low] - x ? low - 1 : low;
  };
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    const at = nearest((event.clientX - box.left) / box.width * svg.viewBox.baseVal.width);
    cursor.setAttribute("x1", points.x[at]);
    cursor.setAttribute("x2", points.x[at]);
    cursor.style.visibility = "visible";
    output.textContent = points.label[at];
  });
  svg.addEventListener("pointerleave", () => {
    cursor.style.visibility = "hidden";
    output.textContent = "";
  });
}
