// TcpFront: a fixed port in front of a server whose own port changes when it is started again. Refuses
// connections while nothing is behind it, as a stopped server does.
import net from 'node:net';

export class TcpFront {
    static async open(targetPort) {
        const front = new TcpFront();
        front.targetPort = targetPort;
        front.server = net.createServer((client) => front.join(client));
        await new Promise((resolve) => front.server.listen(0, '127.0.0.1', resolve));
        front.url = `http://127.0.0.1:${front.server.address().port}`;
        return front;
    }

    constructor() {
        this.sockets = new Set();
    }

    join(client) {
        const upstream = net.connect(this.targetPort, '127.0.0.1');
        for (const [socket, other] of [
            [client, upstream],
            [upstream, client],
        ]) {
            this.sockets.add(socket);
            socket.on('error', () => other.destroy());
            socket.on('close', () => {
                this.sockets.delete(socket);
                other.destroy();
            });
        }
        client.pipe(upstream).pipe(client);
    }

    async close() {
        this.sockets.forEach((socket) => socket.destroy());
        await new Promise((resolve) => this.server.close(resolve));
    }
}
