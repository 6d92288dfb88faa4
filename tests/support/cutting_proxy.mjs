// CuttingProxy: stands between the server and PostgreSQL and cuts connections at a chosen moment.
import net from 'node:net';

export class CuttingProxy {
    // Leads to the host and port of `url`; `proxy.url` is the way through it.
    static async start(url) {
        const proxy = new CuttingProxy();
        const target = new URL(url);
        proxy.sockets = new Set();
        proxy.listener = net.createServer((client) => proxy.relay(client, target));
        await new Promise((resolve) => proxy.listener.listen(0, '127.0.0.1', resolve));
        const through = new URL(url);
        through.hostname = '127.0.0.1';
        through.port = String(proxy.listener.address().port);
        proxy.url = through.href;
        return proxy;
    }

    relay(client, target) {
        const database = net.connect(Number(target.port), target.hostname);
        const pair = [client, database];
        pair.forEach((socket) => this.sockets.add(socket));
        let marked = false;
        let silent = false;
        client.on('data', (chunk) => {
            const text = chunk.toString('latin1');
            marked ||= this.mark !== undefined && text.includes(this.mark);
            if (marked && this.pattern?.test(text)) {
                this.pattern = undefined;
                silent = true;
            }
            database.write(chunk);
        });
        database.on('data', (chunk) => {
            if (!silent) {
                client.write(chunk);
                return;
            }
            pair.forEach((socket) => socket.destroy());
            this.cut();
        });
        for (const socket of pair) {
            socket.on('error', () => undefined);
            socket.on('close', () => {
                pair.forEach((other) => other.destroy());
                this.sockets.delete(socket);
            });
        }
    }

    // A connection that sends `mark`, and then what matches, gets no answer to that: it is cut as
    // soon as the database has answered. Resolves then.
    cutAfter(mark, pattern) {
        this.mark = mark;
        this.pattern = pattern;
        return new Promise((resolve) => (this.cut = resolve));
    }

    async stop() {
        this.sockets.forEach((socket) => socket.destroy());
        await new Promise((resolve) => this.listener.close(resolve));
    }
}
