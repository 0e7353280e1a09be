// Puts the window together: the client, the state over it, the page over that.

import { mount } from "svelte";
import { tauri } from "./api/tauri";
import App from "./App.svelte";
import { Messenger } from "./state/messenger.svelte";
import "./styles/tokens.css";
import "./styles/base.css";

const target = document.getElementById("app");
if (target) {
  const messenger = new Messenger(tauri);
  mount(App, { target, props: { messenger } });
  void messenger.start();
}
