"""Engine.IO 4 and Socket.IO 5, the server's side: WebSocket and long-polling, text only, no domain."""

from plaza.realtime.errors import NotNow, Refused
from plaza.realtime.ingress import Ingress
from plaza.realtime.options import Options
from plaza.realtime.server import Server
from plaza.realtime.socketio import UNREADABLE
from plaza.realtime.sockets import Frame, Namespace, Socket

__all__ = ["UNREADABLE", "Frame", "Ingress", "Namespace", "NotNow", "Options", "Refused", "Server", "Socket"]
