// The official client when the server parts from it but lets it come again: it reads why, and comes back by itself.
// Arguments: URL. Prints what happened, one JSON value per line.
import { io } from "socket.io-client";

const say = (...values) => console.log(JSON.stringify(values));
const once = (socket, name) => new Promise((resolve) => socket.once(name, (...values) => resolve(values)));

const socket = io(process.argv[2], { transports: ["websocket"], reconnectionDelay: 10, reconnectionDelayMax: 20 });
await once(socket, "connect");
const first = socket.id;
const over = once(socket, "disconnect");
const back = over.then(() => once(socket, "connect"));
socket.emit("move");
const [reason, details] = await over;
say(reason, details.context.code, details.context.reason.toString());
await back;
say("back", socket.id !== first);
socket.disconnect();
