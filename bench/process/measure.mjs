// What the process itself costs: start to ready on an empty and on an existing data directory,
// resident memory when idle, size of the binary.
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { binary, Server } from '../../tests/support/server.mjs';
import { removeDirectories, temporaryDirectory } from '../lib/peers.mjs';
import { residentMegabytes } from '../lib/process.mjs';
import { printTable } from '../lib/table.mjs';
import { median } from '../lib/wrk.mjs';

const run = promisify(execFile);
const kStarts = 11;

// Milliseconds from spawn to the log line "ready"; memory once it answers.
async function start(dataDir) {
    const before = performance.now();
    const server = await Server.start({ services: ['prekeys'], dataDir });
    const elapsed = performance.now() - before;
    await (await fetch(`${server.url}/health`)).text();
    const resident = residentMegabytes(server.child.pid);
    await server.stop();
    return { elapsed, resident };
}

export async function measureProcess() {
    const fresh = [];
    const again = [];
    for (let i = 0; i < kStarts; i += 1) {
        const dataDir = temporaryDirectory();
        fresh.push(await start(dataDir));
        again.push(await start(dataDir));
    }
    const stripped = path.join(temporaryDirectory(), 'nave');
    await run('strip', ['-o', stripped, binary()]);
    const megabytes = fs.statSync(stripped).size / 1e6;
    removeDirectories();
    const middle = (runs, field) => median(runs.map((one) => one[field]));
    printTable(
        `The process (prekeys alone, SQLite; median of ${kStarts})`,
        ['measured', 'value', 'goal'],
        [
            ['start to ready, empty data directory', `${middle(fresh, 'elapsed').toFixed(0)} ms`, '< 150 ms'],
            ['start to ready, existing data', `${middle(again, 'elapsed').toFixed(0)} ms`, '< 150 ms'],
            ['resident memory, idle', `${middle(again, 'resident').toFixed(1)} MB`, '< 20 MB'],
            ['binary, stripped', `${megabytes.toFixed(1)} MB`, ''],
        ],
    );
}
