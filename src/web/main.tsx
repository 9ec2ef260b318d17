import "./styles/index.css";
import { render } from "preact";
import { App } from "./app.tsx";
import { open } from "./state/session.ts";

void open();
const root = document.getElementById("app");
if (root) render(<App />, root);
