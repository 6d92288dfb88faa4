// The commands of docs/admin-guide.md that want a container engine (guide.test.mjs has the others):
// the blocks fenced as `sh container`, in the order of the page, by Debian's docker and
// docker-compose against a private dockerd in a network namespace of its own.
//
// Substituted, for want of a registry: `sh image` is run with a base made here, and the images of
// PostgreSQL, Redis and Caddy are stand-ins, named by the variables that compose.postgres.yml has for
// that. HOME is a scratch folder.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Docker, skipWithoutDocker } from '../support/docker.mjs';
import { buildImage } from '../support/image.mjs';
import { enterOwnNetwork } from '../support/own_network.mjs';
import { scriptOf, shellBlocks } from '../support/printed_shell.mjs';
import { temporaryDirectory } from '../support/server.mjs';
import { buildStandIns } from '../support/stand_ins.mjs';

const kRoot = fileURLToPath(new URL('../..', import.meta.url));
const kDeadlineMs = 600_000;
const kTag = 'ghcr.io/nave/nave:latest';

const guide = fs.readFileSync(path.join(kRoot, 'docs/admin-guide.md'), 'utf8');
const blocksOf = (name) => shellBlocks(guide).filter(({ scenario }) => scenario === name);

const skip = skipWithoutDocker();
if (!skip) {
    await enterOwnNetwork(async () => {
        const docker = await Docker.start();
        try {
            await docker.run(['tag', await buildImage(docker), kTag]);
            await buildStandIns(docker);
        } finally {
            await docker.stop();
        }
    });
}

test('the image is built by the command that the tests build it with', () => {
    assert.deepEqual(
        blocksOf('image').map(({ script }) => script),
        [`scripts/build-image --tag ${kTag}\n`],
    );
});

describe('a container engine', { skip }, () => {
    let docker;
    let home;
    before(async () => {
        docker = await Docker.start({ bridge: true });
        home = temporaryDirectory('nave-guide');
    });
    after(async () => {
        await docker?.stop();
        fs.rmSync(home, { recursive: true, force: true });
    });

    test('runs the image, one node, two nodes and several projects', async () => {
        const script = scriptOf(blocksOf('container'));
        const standIns = await buildStandIns(docker);
        const checkout = path.join(home, 'checkout');
        fs.cpSync(path.join(kRoot, 'deploy'), path.join(checkout, 'deploy'), { recursive: true });
        const file = path.join(home, 'guide.sh');
        fs.writeFileSync(file, `exec 2>&1\n${script.text}`);
        const { DOCKER_HOST, DOCKER_CONFIG } = docker.env;
        const env = { DOCKER_HOST, DOCKER_CONFIG, HOME: home, ...standIns };
        env.PATH = '/usr/sbin:/usr/bin:/sbin:/bin'; // Debian's docker before any other
        const result = await new Promise((resolve) => {
            execFile(
                'bash',
                ['-euo', 'pipefail', file],
                { cwd: checkout, env, timeout: kDeadlineMs, maxBuffer: 64 << 20 },
                (error, stdout) => resolve({ code: error ? (error.code ?? -1) : 0, stdout }),
            );
        });
        if (process.env.NAVE_ARTIFACTS) {
            const log = path.join(process.env.NAVE_ARTIFACTS, 'guide-container.log');
            fs.writeFileSync(log, result.stdout);
        }
        script.check(result);
    });
});
