// deploy/install.sh in container mode with a real Docker, Debian's docker-compose and the image of
// deploy/Dockerfile, in a network of its own. Only systemctl is a stand-in, which runs the commands
// of nave-backend.service; its sandbox is tried in nspawn.test.mjs.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { Docker, skipWithoutDocker } from '../support/docker.mjs';
import { buildImage } from '../support/image.mjs';
import { OperatorHome } from '../support/operator_home.mjs';
import { enterOwnNetwork } from '../support/own_network.mjs';

const kImageUser = 10001;
const kRepository = 'ghcr.io/nave/nave';
const kUrl = 'http://127.0.0.1:8081';

const skip = skipWithoutDocker();
if (!skip) {
    await enterOwnNetwork(async () => {
        const docker = await Docker.start();
        try {
            const image = await buildImage(docker);
            await docker.run(['tag', image, `${kRepository}:1.0.0`]);
            await docker.run(['tag', image, `${kRepository}:1.1.0`]);
        } finally {
            await docker.stop();
        }
    });
}

describe('install.sh with a real Docker', { skip }, () => {
    let docker;
    let home;
    // Of Docker's environment the address only: the rest is this process's own, HOME among it.
    const address = () => ({ DOCKER_HOST: docker.env.DOCKER_HOST });
    const run = (args, env = {}) =>
        home.run(args, { env: { ...address(), HEALTH_DEADLINE: '120', UPGRADE_SETTLE: '1', ...env } });
    const imageOf = async () =>
        (await docker.run(['inspect', '--format', '{{.Config.Image}}', 'nave-backend'])).stdout.trim();
    const nave = async (...args) =>
        (await docker.run(['exec', 'nave-backend', 'nave', ...args])).stdout;

    // A version that never serves: its image's command is another. With `entry`, a script runs first
    // that has the sqlite3 of this machine, which is the Debian of the image.
    async function brokenImage(tag, { changes, entry }) {
        await docker.run(['create', '--name', 'making', `${kRepository}:1.0.0`]);
        if (entry) {
            const folder = home.path('entry');
            fs.mkdirSync(folder);
            fs.writeFileSync(path.join(folder, 'entry'), entry, { mode: 0o755 });
            fs.copyFileSync('/usr/bin/sqlite3', path.join(folder, 'sqlite3'));
            for (const name of ['libreadline.so.8', 'libtinfo.so.6']) {
                fs.copyFileSync(`/lib/x86_64-linux-gnu/${name}`, path.join(folder, name));
            }
            await docker.run(['cp', folder, 'making:/opt/entry']);
        }
        const options = changes.flatMap((change) => ['--change', change]);
        await docker.run(['commit', ...options, 'making', `${kRepository}:${tag}`]);
        await docker.run(['rm', 'making']);
    }

    before(async () => {
        docker = await Docker.start({ bridge: true });
        home = new OperatorHome();
        fs.symlinkSync('/usr/bin/docker', home.path('bin/docker'));
        fs.mkdirSync(home.at('nave'));
        fs.writeFileSync(home.at('nave/.env'), 'NAVE_VERSION=1.0.0\n', { mode: 0o600 });
    });
    after(async () => {
        await run(['uninstall']);
        await home?.dispose();
        await docker?.stop();
    });

    test('installs: the data belong to the user of the image, the server is healthy', async () => {
        const made = await run(['install', '--mode', 'container']);
        assert.equal(made.code, 0, made.text);
        assert.match(made.stdout, /healthy: http:\/\/127\.0\.0\.1:8081\/ready answers/, made.text);
        assert.doesNotMatch(made.stderr, /WARNING/);
        assert.equal(fs.statSync(home.at('nave/data')).uid, kImageUser);
        assert.equal(fs.statSync(home.at('nave/data')).mode & 0o777, 0o710);
        assert.equal(fs.statSync(home.at('nave/data/backups')).uid, kImageUser);
        assert.equal(await imageOf(), `${kRepository}:1.0.0`);
        await nave('broker', 'mesh', 'create', 'kept');
        const again = await run(['install']);
        assert.equal(again.code, 0, again.text);
        const status = await run(['status']);
        assert.equal(status.code, 0, status.text);
        assert.match(status.stdout, /mode: {4}container/);
    });

    test('backup beside the server', async () => {
        const made = await home.run([], {
            command: home.at('nave/deploy/backup.sh'),
            env: { ...address(), BACKUP_KEEP: '1' },
        });
        assert.equal(made.code, 0, made.text);
        const folder = home.at('nave/data/backups');
        const files = fs.readdirSync(folder);
        assert.ok(files.some((file) => /^broker-.*\.backup$/.test(file)), files);
        assert.ok(files.some((file) => /^prekeys-.*\.backup$/.test(file)), files);
        for (const file of files) {
            assert.equal(fs.statSync(path.join(folder, file)).mode & 0o777, 0o600);
        }
    });

    test('upgrade by tag', async () => {
        const upgraded = await run(['upgrade', '1.1.0']);
        assert.equal(upgraded.code, 0, upgraded.text);
        assert.match(upgraded.stderr, /could not be pulled; taking the one on this machine/);
        assert.equal(await imageOf(), `${kRepository}:1.1.0`);
        assert.match(await nave('broker', 'mesh', 'list'), /kept/);
        const absent = await run(['upgrade', '9.9.9']);
        assert.equal(absent.code, 1, absent.text);
        assert.match(absent.stderr, /there is no image/);
        assert.equal((await fetch(`${kUrl}/ready`)).status, 200);
    });

    test('a version that never gets ready: the image before comes back, the data stay', async () => {
        await nave('broker', 'mesh', 'create', 'later');
        await brokenImage('2.0.0', { changes: ['CMD ["version"]'] });
        const failed = await run(['upgrade', '2.0.0'], { UPGRADE_DEADLINE: '40' });
        assert.equal(failed.code, 4, failed.text);
        assert.equal(await imageOf(), `${kRepository}:before-upgrade`);
        assert.match(await nave('broker', 'mesh', 'list'), /later/);
        assert.equal((await fetch(`${kUrl}/ready`)).status, 200);
    });

    test('a version that changed the schema: the backup is restored', async () => {
        await brokenImage('3.0.0', {
            // A new entry point forgets the command.
            changes: ['ENTRYPOINT ["/opt/entry/entry"]', 'CMD ["serve"]'],
            entry: `#!/bin/sh
[ "$1" = serve ] || exec nave "$@"
LD_LIBRARY_PATH=/opt/entry /opt/entry/sqlite3 /data/broker.db "insert into nave_schema_migrations
    select module, version + 1, 'later', checksum, applied_at from nave_schema_migrations
    order by version desc limit 1"
exit 14
`,
        });
        const failed = await run(['upgrade', '3.0.0'], { UPGRADE_DEADLINE: '40' });
        assert.equal(failed.code, 4, failed.text);
        assert.match(failed.stdout, /broker: the new version has changed the schema; restoring/);
        assert.match(await nave('broker', 'mesh', 'list'), /kept[\s\S]*later|later[\s\S]*kept/);
        assert.ok(fs.readdirSync(home.at('nave/data')).some((file) => /^broker\.db\.newer-/.test(file)));
    });

    test('uninstall: the container is gone, the data are not', async () => {
        const gone = await run(['uninstall']);
        assert.equal(gone.code, 0, gone.text);
        const { stdout } = await docker.run(['ps', '--all', '--quiet', '--filter', 'name=nave-backend']);
        assert.equal(stdout.trim(), '');
        assert.ok(fs.existsSync(home.at('nave/data/broker.db')));
        assert.ok(fs.existsSync(home.at('nave/.env')));
    });
});
