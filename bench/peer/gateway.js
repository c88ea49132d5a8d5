// A peer of `bench live`: the same group chat as a NestJS gateway on its socket.io platform and express.
// Plain JavaScript: the decorators are called by hand, in the order in which TypeScript would.

import "reflect-metadata";
import { Controller, Get, Module } from "@nestjs/common";
import { NestFactory } from "@nestjs/core";
import { ConnectedSocket, MessageBody, SubscribeMessage, WebSocketGateway, WebSocketServer } from "@nestjs/websockets";
import { authenticate, TUNED } from "./token.js";

class LiveGateway {
  afterInit(community) {
    community.use(authenticate);
  }

  handleConnection(socket) {
    socket.join(socket.data.org);
  }

  say(socket, { at, text }) {
    const { org, email } = socket.data;
    this.community.to(org).emit("said", { from: email, at, text });
  }
}
decorate(LiveGateway, "say", SubscribeMessage("say"));
ConnectedSocket()(LiveGateway.prototype, "say", 0);
MessageBody()(LiveGateway.prototype, "say", 1);
WebSocketServer()(LiveGateway.prototype, "community");
WebSocketGateway({ namespace: "/community-chat", ...TUNED })(LiveGateway);

class Status {
  ready() {
    return "ready";
  }
}
decorate(Status, "ready", Get("readyz"));
Controller()(Status);

class Application {}
Module({ controllers: [Status], providers: [LiveGateway] })(Application);

function decorate(type, method, decorator) {
  decorator(type.prototype, method, Object.getOwnPropertyDescriptor(type.prototype, method));
}

const application = await NestFactory.create(Application, { logger: ["error", "warn"] });
process.on("SIGTERM", () => process.exit(0));
await application.listen(Number(process.argv[2]), "127.0.0.1");
