// The images of the deployment tests, made in a private Docker (support/docker.mjs):
//
//     const image = await buildImage(docker);                          // 'nave:test'
//     const small = await buildImage(docker, { target: 'minimal' });   // 'nave:test-minimal'
//
// A build that has nothing to do takes a few seconds, so every file calls it. It is scripts/build-image
// on the real deploy/Dockerfile, with three things a machine without a registry needs:
//
// - The base: mmdebstrap makes a Debian 12 of the published image's shape once (build/docker/base.tar),
//   tagged with the published name. It brings the apt sources of this machine.
// - The compiler cache: ccache inside the build asks ours over loopback HTTP, read only, so that what
//   was compiled here is not compiled again. Objects are equal or not found; a cold cache only costs time.
// - The certificate authorities that this machine's npm trusts, as a build secret.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { stateDirectory } from './docker.mjs';

export const kBase = 'debian:bookworm-slim';
const kRoot = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
const kBuildScript = path.join(kRoot, 'scripts/build-image');
const kBaseScript = path.join(kRoot, 'tests/support/debian-base');
const kBuildDeadlineMs = 45 * 60_000; // a cold cache on two busy cores

// ccache's own answer, so that its configuration files and environment count.
function ccacheSetting(name) {
    try {
        return execFileSync('ccache', ['--get-config', name], { encoding: 'utf8' }).trim();
    } catch {
        return undefined;
    }
}

// Serves the entries of the local ccache in the form its HTTP storage asks for.
async function serveCompilerCache() {
    const directory = ccacheSetting('cache_dir');
    if (!directory || !fs.existsSync(directory)) {
        return undefined;
    }
    const served = { hits: 0, misses: 0 };
    const server = http.createServer((request, response) => {
        const match = /^\/([0-9a-f])([0-9a-f])\/([0-9a-v]+)$/.exec(request.url);
        const file = ['R', 'M']
            .map((kind) => match && path.join(directory, match[1], match[2], match[3] + kind))
            .find((candidate) => candidate && fs.existsSync(candidate));
        if (!file || request.method !== 'GET') {
            served.misses += 1;
            response.writeHead(request.method === 'GET' || request.method === 'HEAD' ? 404 : 405);
            response.end();
            return;
        }
        served.hits += 1;
        const bytes = fs.readFileSync(file);
        response.writeHead(200, { 'Content-Length': bytes.length });
        response.end(bytes);
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    const configuration = [
        `remote_storage = http://127.0.0.1:${server.address().port}|read-only`,
        `base_dir = ${ccacheSetting('base_dir')}`,
        `hash_dir = ${ccacheSetting('hash_dir')}`,
        '',
    ].join('\n');
    return { configuration, served, close: () => server.close() };
}

// The base image, imported when the daemon has none of this recipe.
export async function ensureBase(docker) {
    const recipe = createHash('sha256').update(fs.readFileSync(kBaseScript)).digest('hex');
    const known = await docker.run(
        ['image', 'inspect', '--format', '{{index .Config.Labels "nave.recipe"}}', kBase],
        { check: false },
    );
    if (known.code === 0 && known.stdout.trim() === recipe) {
        return;
    }
    const tar = path.join(stateDirectory(), `base-${recipe.slice(0, 12)}.tar`);
    if (!fs.existsSync(tar)) {
        await docker.run([tar], { program: kBaseScript, deadlineMs: 15 * 60_000 });
    }
    const changes = ['--change', 'CMD ["bash"]', '--change', `LABEL nave.recipe=${recipe}`];
    await docker.run(['import', ...changes, tar, kBase], { deadlineMs: 300_000 });
}

export async function buildImage(docker, { target = 'runtime', tag, args = [] } = {}) {
    const name = tag ?? (target === 'runtime' ? 'nave:test' : `nave:test-${target}`);
    await ensureBase(docker);
    const cache = await serveCompilerCache();
    const secrets = [];
    const secret = (id, file) => secrets.push('--secret', `id=${id},src=${file}`);
    if (cache) {
        const file = path.join(docker.runDirectory, 'ccache.conf');
        fs.writeFileSync(file, cache.configuration);
        secret('ccache', file);
    }
    if (process.env.NODE_EXTRA_CA_CERTS) {
        secret('ca', process.env.NODE_EXTRA_CA_CERTS);
    }
    const log = path.join(stateDirectory(), `build-${target}.log`);
    try {
        await docker.run(
            [
                ...['--target', target, '--tag', name, '--no-measure', '--'],
                ...['--network', 'host', '--progress', 'plain'],
                ...['--build-arg', `BASE=${kBase}`, '--build-arg', `SOURCE_DIR=${kRoot}`],
                ...['LANG', 'LC_ALL'].flatMap((name) => [
                    '--build-arg',
                    `${name}=${process.env[name] ?? ''}`,
                ]),
                ...secrets,
                ...args,
            ],
            { program: kBuildScript, deadlineMs: kBuildDeadlineMs, log },
        );
    } finally {
        cache?.close();
    }
    return name;
}
