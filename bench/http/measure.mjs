// Small JSON over HTTP, 64 connections: Nave, Bun and nginx take turns, the middle of three counts.
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { bun, nave, removeDirectories, temporaryDirectory } from '../lib/peers.mjs';
import { freePort, startPeer } from '../lib/process.mjs';
import { ms, printTable, thousands, times } from '../lib/table.mjs';
import { median, medianRun, wrk } from '../lib/wrk.mjs';
import { nginxArguments } from './nginx.mjs';

const kRounds = 3;
const kHere = path.dirname(fileURLToPath(import.meta.url));

async function startAll() {
    const ports = [await freePort(), await freePort()];
    const bunUrl = `http://127.0.0.1:${ports[0]}/healthz`;
    const nginxUrl = `http://127.0.0.1:${ports[1]}/healthz`;
    const server = await nave();
    const script = path.join(kHere, 'bun_server.mjs');
    return [
        { name: 'Nave', url: `${server.url}/healthz`, pid: server.child.pid, stop: () => server.stop() },
        { name: 'Bun', url: bunUrl, ...(await startPeer(bun(), [script, ports[0]], bunUrl)) },
        {
            name: 'nginx return',
            url: nginxUrl,
            ...(await startPeer('nginx', nginxArguments(temporaryDirectory(), ports[1]), nginxUrl)),
        },
    ];
}

export async function measureHttp() {
    const peers = await startAll();
    for (let round = 0; round < kRounds; round += 1) {
        for (const peer of peers) {
            (peer.runs ??= []).push(await wrk(peer.url, peer.pid));
        }
    }
    await Promise.all(peers.map((peer) => peer.stop()));
    removeDirectories();
    const perCpu = (peer) => median(peer.runs.map((run) => run.perCpuSecond));
    printTable(
        'Small JSON over HTTP, 64 connections',
        ['server', 'requests/s', 'per CPU-second', 'Nave is', 'p50 ms', 'p99 ms'],
        peers.map((peer) => {
            const run = medianRun(peer.runs);
            return [
                peer.name,
                thousands(run.perSecond),
                thousands(perCpu(peer)),
                times(perCpu(peers[0]) / perCpu(peer)),
                ms(run.p50),
                ms(run.p99),
            ];
        }),
    );
}
