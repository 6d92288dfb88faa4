// The servers under measurement, each on free loopback ports with a directory of its own:
// { name, protocol, pids, lines(count), stop() }. `lines` are connections for the generator: port,
// key, hello.
import fs from 'node:fs';
import path from 'node:path';
import { BrokerAdmin, Peer, join, peerKeys } from '../../tests/support/broker_peer.mjs';
import { Server } from '../../tests/support/server.mjs';
import { temporaryDirectory } from '../lib/peers.mjs';
import { freePort, startPeer } from '../lib/process.mjs';

const kToken = 'a-token-for-the-benchmark';
const kConnectionsMax = 20_000;

// Members of a new mesh, by one invite of many uses.
export async function createMembers(url, count) {
    const admin = new BrokerAdmin(url, kToken);
    const mesh = await admin.createMesh();
    const invite = await admin.invite(mesh, { maxUses: 100_000 });
    const joinOne = async (_, i) => {
        const keys = peerKeys();
        const joined = await join(url, invite.token, keys.hex, `peer ${i}`);
        if (!joined.json?.ok) {
            throw new Error(`join: ${joined.status} ${joined.text}`);
        }
        return { id: joined.json.memberId, keys, mesh };
    };
    return Promise.all(Array.from({ length: count }, joinOne));
}

// Hellos are good for a minute, and no two of a member may be the same.
export function naveLines(members, portOf) {
    const now = Date.now();
    return members.map((member, index) => {
        const peer = { member, sessionId: `s${index}`, options: {}, session: member.session };
        const timestamp = now + (index % 20_000);
        const hello = Peer.prototype.helloMessage.call(peer, { timestamp });
        return [portOf(index), member.session?.hex ?? member.keys.hex, JSON.stringify(hello)];
    });
}

export const startNaveServer = (env = {}, services = ['broker']) =>
    Server.start({
        services,
        env: {
            BROKER_ADMIN_TOKEN: kToken,
            BROKER_SEND_LIMIT: '10000000/s',
            MAX_CONNECTIONS_PER_MESH: '100000',
            NAVE_MAX_CONNECTIONS: String(kConnectionsMax),
            NAVE_MAX_CONNECTIONS_PER_CLIENT: String(kConnectionsMax),
            ...env,
        },
    });

// Every lines() are the members of a new mesh.
export async function startNave(name, { env, morePids = [] } = {}) {
    const server = await startNaveServer(env);
    const linesOf = (members) => naveLines(members, () => server.port);
    return {
        name,
        protocol: 'nave',
        pids: [server.child.pid, ...morePids],
        members: (count) => createMembers(server.url, count),
        linesOf,
        lines: async (count) => linesOf(await createMembers(server.url, count)),
        stop: () => server.finish(),
    };
}

const peerLines = (port) => (n) => Array.from({ length: n }, (_, i) => [port, `peer-${i}`, '']);

export async function startRedis() {
    const port = await freePort();
    const args = ['--bind', '127.0.0.1', '--port', port, '--dir', temporaryDirectory()];
    args.push('--appendonly', 'yes', '--appendfsync', 'always', '--save', '');
    args.push('--auto-aof-rewrite-percentage', 0, '--maxclients', kConnectionsMax - 100);
    const url = `tcp://127.0.0.1:${port}`;
    const peer = await startPeer('redis-server', args.map(String), url);
    return {
        name: 'Redis, appendfsync always',
        protocol: 'redis',
        pids: [peer.pid],
        lines: peerLines(port),
        stop: peer.stop,
        url: `redis://127.0.0.1:${port}`,
    };
}

// One process serves core NATS and JetStream.
export async function startNats() {
    const directory = temporaryDirectory();
    const [port, webSocketPort] = [await freePort(), await freePort()];
    const file = path.join(directory, 'nats.conf');
    fs.writeFileSync(
        file,
        `listen: "127.0.0.1:${port}"
websocket { listen: "127.0.0.1:${webSocketPort}", no_tls: true }
jetstream { store_dir: "${directory}" }
`,
    );
    const url = `tcp://127.0.0.1:${webSocketPort}`;
    const peer = await startPeer('nats-server', ['-c', file, '-l', path.join(directory, 'log')], url);
    const shared = { pids: [peer.pid], lines: peerLines(webSocketPort) };
    return {
        core: { name: 'NATS core', protocol: 'nats', ...shared },
        jetStream: { name: 'NATS JetStream, file', protocol: 'jetstream', ...shared },
        stop: peer.stop,
    };
}

// 2.0.11 does not start with a WebSocket listener alone. By default it keeps 20 messages in flight
// for a receiver and drops what is more than 1,000 behind.
export async function startMosquitto() {
    const directory = temporaryDirectory();
    const [port, webSocketPort] = [await freePort(), await freePort()];
    const file = path.join(directory, 'mosquitto.conf');
    fs.writeFileSync(
        file,
        `allow_anonymous true
max_inflight_messages 0
max_queued_messages 0
set_tcp_nodelay true
log_dest none
listener ${port} 127.0.0.1
listener ${webSocketPort} 127.0.0.1
protocol websockets
`,
    );
    const peer = await startPeer('mosquitto', ['-c', file], `tcp://127.0.0.1:${webSocketPort}`);
    const shared = { pids: [peer.pid], lines: peerLines(webSocketPort) };
    return {
        once: { name: 'mosquitto, QoS 1', protocol: 'mqtt1', ...shared },
        atMostOnce: { name: 'mosquitto, QoS 0', protocol: 'mqtt0', ...shared },
        stop: peer.stop,
    };
}
