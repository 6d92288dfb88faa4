import { render } from "preact";

const host = document.getElementById("console");
if (host) {
  render(<h1>Nave</h1>, host);
}
