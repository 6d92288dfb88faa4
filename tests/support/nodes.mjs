// Several broker processes on one private PostgreSQL and Redis, each reached directly or, for what
// cuts it off, through a gate in front of either.
import net from 'node:net';
import { BrokerAdmin, Peer } from './broker_peer.mjs';
import { Postgres, postgresMissing } from './postgres.mjs';
import { Redis, redisMissing } from './redis.mjs';
import { Server } from './server.mjs';
import { kBrokerAdminToken } from './stores.mjs';

// Why these tests cannot run; where services are required that is a failure.
export function nodesMissing() {
    const missing = postgresMissing() ?? redisMissing();
    if (missing && process.env.NAVE_REQUIRE_SERVICES === '1') {
        throw new Error(`services are required: ${missing}`);
    }
    if (missing) {
        console.error(`*** SKIPPED: ${missing}`);
    }
    return missing ?? false;
}

// A TCP relay that can be closed: what goes through it stops, and nobody gets in.
export class Gate {
    static async open(port) {
        const gate = new Gate();
        gate.target = port;
        gate.sockets = new Set();
        gate.shut = false;
        gate.server = net.createServer((near) => gate.relay(near));
        await new Promise((resolve) => gate.server.listen(0, '127.0.0.1', resolve));
        gate.port = gate.server.address().port;
        return gate;
    }

    relay(near) {
        if (this.shut) {
            near.destroy();
            return;
        }
        const far = net.connect(this.target, '127.0.0.1');
        for (const [one, other] of [
            [near, far],
            [far, near],
        ]) {
            this.sockets.add(one);
            one.on('error', () => undefined);
            one.on('close', () => {
                this.sockets.delete(one);
                other.destroy();
            });
            one.pipe(other);
        }
    }

    // Connections end, as when a process between them dies.
    cut() {
        this.shut = true;
        this.sockets.forEach((socket) => socket.destroy());
    }

    mend() {
        this.shut = false;
    }

    close() {
        this.cut();
        this.server.close();
    }
}

export class Nodes {
    static async start(count = 2, { env = {}, gates = false } = {}) {
        const nodes = new Nodes();
        nodes.postgres = await Postgres.start();
        nodes.redis = await Redis.start();
        nodes.databaseUrl = await nodes.postgres.createDatabase();
        nodes.env = env;
        nodes.servers = [];
        nodes.gates = [];
        for (let i = 0; i < count; i += 1) {
            await nodes.add(gates);
        }
        nodes.admin = new BrokerAdmin(nodes.servers[0].url, kBrokerAdminToken);
        return nodes;
    }

    async add(gated = false) {
        let { databaseUrl } = this;
        let redisUrl = this.redis.url;
        const gates = {};
        if (gated) {
            const port = Number(/:(\d+)\//.exec(databaseUrl.replace(/^.*@/, ''))[1]);
            gates.postgres = await Gate.open(port);
            gates.redis = await Gate.open(this.redis.port);
            databaseUrl = databaseUrl.replace(`:${port}/`, `:${gates.postgres.port}/`);
            redisUrl = `redis://127.0.0.1:${gates.redis.port}`;
        }
        const server = await Server.start({
            services: ['broker'],
            env: {
                BROKER_ADMIN_TOKEN: kBrokerAdminToken,
                BROKER_LOG_LEVEL: 'debug',
                NAVE_DATABASE_CONNECTIONS: '6',
                ...this.env,
                DATABASE_URL: databaseUrl,
                REDIS_URL: redisUrl,
            },
        });
        this.servers.push(server);
        this.gates.push(gates);
        return server;
    }

    // A connected peer of a member at one node.
    peer(node, member, options = {}) {
        return Peer.connect(this.servers[node].url, member, options);
    }

    async health(node) {
        const response = await fetch(`${this.servers[node].url}/health`);
        return { status: response.status, ...(await response.json()) };
    }

    async kill(node) {
        await this.servers[node].kill();
    }

    async finish() {
        for (const server of this.servers) {
            if (server.exit) {
                server.removeData();
            } else {
                await server.finish();
            }
        }
        this.gates.forEach((gates) => Object.values(gates).forEach((gate) => gate.close()));
        await this.redis.finish();
        await this.postgres.finish();
    }
}
