// The client of the desktop window: one command a call, one channel for events. The only file that names Tauri.

import { Channel, invoke } from "@tauri-apps/api/core";
import type { Client } from "./client";
import type { Batch } from "./types/core";

const call = <T>(command: string, parts?: Record<string, unknown>): Promise<T> =>
  invoke<T>(`plugin:messenger|${command}`, parts);

export const tauri: Client = {
  status: () => call("status"),
  configure: (change) => call("configure", { change }),
  konnichiwa: () => call("konnichiwa"),
  testConnection: (request) => call("test_connection", { request }),
  connect: (request) => call("connect", { request }),
  saveMessage: (request) => call("save_message", { request }),
  putRoom: (request) => call("put_room", { request }),
  claimMessage: (id, nonce) => call("claim_message", { request: { id, nonce } }),
  deleteMessage: (id) => call("delete_message", { id }),
  copyMessage: (id, link) => call("copy_message", { id, link }),
  openLink: (url) => call("open_link", { url }),
  startEmpty: () => call("start_empty"),
  showFolder: () => call("show_folder"),

  async events(rooms, apply) {
    const channel = new Channel<Batch>();
    // The first batch may be here before the subscription's own number.
    const subscribed = call<number>("events", { rooms, channel });
    channel.onmessage = (batch) => {
      apply(batch);
      void subscribed.then((subscription) => call("acknowledge", { subscription, number: batch.number }));
    };
    const subscription = await subscribed;
    return {
      show: (room, before) => call("show", { subscription, room, before }),
      hide: (room) => call("hide", { subscription, room }),
    };
  },
};
