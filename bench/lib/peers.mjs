// How the servers under measurement are started.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Server } from '../../tests/support/server.mjs';

const kBench = fileURLToPath(new URL('..', import.meta.url));
const directories = [];

export const bun = () => path.join(kBench, 'node_modules/.bin/bun');

// PostgreSQL's own user must be able to enter it.
export function temporaryDirectory() {
    const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'nave-bench-'));
    fs.chmodSync(directory, 0o755);
    directories.push(directory);
    return directory;
}

export const removeDirectories = () =>
    directories.splice(0).forEach((name) => fs.rmSync(name, { recursive: true, force: true }));

// The prekeys service as released, its limits out of the way: all load comes from one address.
export const nave = (env = {}, options = {}) =>
    Server.start({
        services: ['prekeys'],
        env: {
            SHADE_DISABLE_RATE_LIMIT: '1',
            SHADE_RESERVE_PERCENT: '0',
            SHADE_MAX_SKEW_SECONDS: '3600',
            ...env,
        },
        ...options,
    });
