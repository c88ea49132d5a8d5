// The official client against a server: connect, acknowledgement, echo, a refusal, and how it ends.
// Arguments: URL, transports (comma list). Prints what happened, one JSON value per line.
import { io } from "socket.io-client";

const [url, transports] = process.argv.slice(2);
const say = (...values) => console.log(JSON.stringify(values));
const once = (socket, name) => new Promise((resolve) => socket.once(name, (...values) => resolve(values)));
const options = { transports: transports.split(","), reconnection: false };

const refused = io(`${url}/closed`, { ...options, forceNew: true });
const [error] = await once(refused, "connect_error");
say("connect_error", error.message, error.data);
refused.disconnect();

const socket = io(url, { ...options, auth: { token: "t" } });
await once(socket, "connect");
say("connect", typeof socket.id);
if (transports.includes(",")) {
  const engine = socket.io.engine;
  if (engine.transport.name === "polling") await once(engine, "upgrade");
}
say("transport", socket.io.engine.transport.name);
say("ack", await socket.emitWithAck("question", 1, "ä€😀", { deep: [null, true] }));
const echoed = once(socket, "echo");
socket.emit("echo", "x".repeat(10_000));
say("echo", (await echoed)[0].length);

const count = 200;
const order = [];
const all = new Promise((resolve) => {
  socket.on("echo", (n) => {
    order.push(n);
    if (order.length === count) resolve();
  });
});
for (let n = 0; n < count; n++) socket.emit("echo", n);
await all;
say("order", order.every((n, index) => n === index));

const over = once(socket, "disconnect");
socket.emit("goodbye");
const [reason, details] = await over;
say("disconnect", reason, details?.description?.code ?? null);
