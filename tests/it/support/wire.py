"""A TCP path that can be cut: between a client and 127.0.0.1:PORT, by lines on standard input.

pass    lets everything through
refuse  ends all connections and refuses new ones
drop    drops every packet that comes in, so that nothing is acknowledged and no connection is made

Dropping is done by the kernel, with a socket filter that takes no packet (socket(7), SO_ATTACH_FILTER);
it needs no privilege. Each line is answered by `ok`.
"""

import ctypes
import socket
import struct
import sys
import threading

SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27
DROP_ALL = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))
PROGRAM = struct.pack("HL", 1, ctypes.addressof(DROP_ALL))

target = ("127.0.0.1", int(sys.argv[1]))
lock = threading.Lock()
clients = set()
flowing = threading.Event()
flowing.set()
dropping = False


def listen(port):
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(256)
    threading.Thread(target=accept, args=(listener,), daemon=True).start()
    return listener


def accept(listener):
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=serve, args=(client,), daemon=True).start()


def serve(client):
    with lock:
        clients.add(client)
    try:
        server = socket.create_connection(target)
    except OSError:
        end(client)
        return
    for stream in (client, server):
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    threading.Thread(target=pump, args=(client, server), daemon=True).start()
    pump(server, client)


def pump(source, sink):
    try:
        while data := source.recv(65536):
            flowing.wait()
            sink.sendall(data)
    except OSError:
        pass
    flowing.wait()
    end(source)
    end(sink)


def end(stream):
    with lock:
        clients.discard(stream)
    try:
        stream.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


def set_filter(option, value):
    with lock:
        for stream in [listener, *clients]:
            try:
                stream.setsockopt(socket.SOL_SOCKET, option, value)
            except OSError:
                pass


listener = listen(0)
port = listener.getsockname()[1]
print(port, flush=True)
for line in sys.stdin:
    command = line.strip()
    if command == "drop":
        flowing.clear()
        set_filter(SO_ATTACH_FILTER, PROGRAM)
        dropping = True
    elif command == "refuse":
        # The thread that accepts wakes only by a shutdown.
        end(listener)
        listener.close()
        listener = None
        with lock:
            streams = list(clients)
        for stream in streams:
            end(stream)
    elif command == "pass":
        if listener is None:
            listener = listen(port)
        if dropping:
            set_filter(SO_DETACH_FILTER, 0)
            dropping = False
        flowing.set()
    print("ok", flush=True)
