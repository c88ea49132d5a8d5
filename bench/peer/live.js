// A peer of `bench live`: the group chat as one writes it on Node with socket.io. With LIVE_REDIS, one of several
// processes that hear each other through its redis-adapter.

import { createServer } from "node:http";
import { createAdapter } from "@socket.io/redis-adapter";
import { createClient } from "redis";
import { Server } from "socket.io";
import { authenticate, TUNED } from "./token.js";

const http = createServer((request, response) => {
  response.writeHead(request.url === "/readyz" ? 200 : 404).end();
});
const io = new Server(http, TUNED);

if (process.env.LIVE_REDIS) {
  const speaks = createClient({ url: process.env.LIVE_REDIS });
  const hears = speaks.duplicate();
  for (const client of [speaks, hears]) client.on("error", console.error);
  await Promise.all([speaks.connect(), hears.connect()]);
  io.adapter(createAdapter(speaks, hears));
}

const community = io.of("/community-chat");
community.use(authenticate);
community.on("connection", (socket) => {
  const { org, email } = socket.data;
  socket.join(org);
  socket.on("say", ({ at, text }) => {
    community.to(org).emit("said", { from: email, at, text });
  });
});

process.on("SIGTERM", () => process.exit(0));
http.listen(Number(process.argv[2]), "127.0.0.1");
