// The official client as a child process: commands on stdin, events on stdout, one JSON object a line.
import { io } from "socket.io-client";
import { createInterface } from "node:readline";

const say = (value) => process.stdout.write(JSON.stringify(value) + "\n");
let socket;

const commands = {
  open({ url, options, tokens }) {
    // The next token at each connect, the last one again and again.
    const next = (callback) => callback({ ...options.auth, token: tokens.length > 1 ? tokens.shift() : tokens[0] });
    socket = io(url, { reconnection: false, forceNew: true, ...options, ...(tokens && { auth: next }) });
    socket.onAny((event, ...args) => say({ event, args }));
    socket.on("connect", () => say({ event: "connect", args: [socket.io.engine.transport.name] }));
    socket.on("disconnect", (reason, details) => {
      const closed = details?.context; // the close event of a WebSocket
      say({ event: "disconnect", args: [reason, closed?.code ?? null, closed?.reason?.toString() ?? null] });
    });
    socket.on("connect_error", (error) =>
      say({ event: "connect_error", args: [{ message: error.message, data: error.data ?? null }] }),
    );
    socket.io.engine?.on?.("upgrade", (transport) => say({ event: "upgrade", args: [transport.name] }));
  },
  emit({ event, args }) {
    socket.emit(event, ...args);
  },
  ask({ event, args, number }) {
    socket.emit(event, ...args, (...answer) => say({ event: "acknowledged", args: [number, answer] }));
  },
  close() {
    socket.disconnect();
  },
};

say({ event: "ready", args: [] });
createInterface({ input: process.stdin })
  .on("line", (line) => {
    const { command, ...rest } = JSON.parse(line);
    commands[command](rest);
  })
  .on("close", () => process.exit(0));
