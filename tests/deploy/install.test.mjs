// deploy/install.sh in scratch homes, with stand-ins for systemctl, loginctl and docker and the real
// binary. What only a real systemd can show is in nspawn.test.mjs.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';

import { OperatorHome, deployFolder, tree } from '../support/operator_home.mjs';
import { binary, runCommand, until } from '../support/server.mjs';

const kUuid = '6ff42ae2-765d-4adf-8112-31c55c1551ef';
const kUnits = '.config/systemd/user';

async function withHome(options, body) {
    const home = new OperatorHome(options);
    try {
        await body(home);
    } finally {
        await home.dispose();
    }
}

const get = async (url) => (await fetch(url)).status;

function wrapper(home, name, before) {
    const file = home.path(name);
    fs.writeFileSync(file, `#!/usr/bin/env bash\n${before}\nexec '${binary()}' "$@"\n`, {
        mode: 0o755,
    });
    return file;
}

async function makeMesh(home, name) {
    const made = await runCommand(['broker', 'mesh', 'create', name], {
        env: { NAVE_DATA_DIR: home.at('nave/data') },
    });
    assert.equal(made.code, 0, made.stderr);
}

async function meshes(home) {
    const listed = await runCommand(['broker', 'mesh', 'list'], {
        env: { NAVE_DATA_DIR: home.at('nave/data') },
    });
    assert.equal(listed.code, 0, listed.stderr);
    return listed.stdout;
}

function tunnelFiles(home) {
    fs.mkdirSync(home.at('.cloudflared'), { recursive: true });
    fs.writeFileSync(home.at('.cloudflared/NAVE_TUNNEL_UUID'), `${kUuid}\n`);
    fs.writeFileSync(home.at(`.cloudflared/nave-backend-${kUuid}.json`), '{}', { mode: 0o600 });
    fs.mkdirSync(home.at('.local/bin'), { recursive: true });
    fs.writeFileSync(home.at('.local/bin/cloudflared'), '#!/bin/sh\nexec sleep 600\n', { mode: 0o755 });
}

// A docker that runs nothing: `compose up` sleeps, `backup` writes a file, every image but "absent"
// can be had, and of "broken" no server starts.
function fakeDocker(home) {
    home.script(
        'docker',
        `case "$*" in
            *compose*" up") if [ "$NAVE_VERSION" = broken ]; then exit 1; fi; exec sleep 600 ;;
            *" backend backup /data/backups/all-"* | *" backup /data/backups/upgrade-all-"*) exit 2 ;;
            *" backend backup /data/backups/"*)
                for word; do case "$word" in /data/*) : >"$HOME/nave\${word}" ;; esac; done ;;
            *absent*) exit 1 ;;
        esac`,
    );
    // The published port is fixed, so who answers there is not asked: the unit's process is.
    home.script('curl', 'systemctl --user is-active --quiet nave-backend.service || exit 22');
}

describe('install', () => {
    test('twice gives the same files, and a server that answers', async () => {
        await withHome({}, async (home) => {
            await home.settings();
            tunnelFiles(home);
            const first = await home.install(['--hostname', 'nave.example.org']);
            assert.equal(first.code, 0, first.text);
            assert.match(first.stdout, /healthy: http:\/\/127\.0\.0\.1:\d+\/ready answers/);
            assert.match(first.stdout, /Cloudflare Access: create a policy/);
            assert.match(first.stdout, /cloudflared tunnel info nave-backend/);
            assert.equal(await get(`${home.url}/healthz`), 200);
            const ignore = (entry) => /^nave\/(data|logs)\//.test(entry);
            const before = tree(home.home, ignore);
            const pid = fs.readFileSync(home.path('state/nave-server.service.pid'), 'utf8');
            const second = await home.install();
            assert.equal(second.code, 0, second.text);
            assert.deepEqual(tree(home.home, ignore), before);
            assert.equal(fs.readFileSync(home.path('state/nave-server.service.pid'), 'utf8'), pid);
            assert.match(before['nave/.env'], /^600 /);
            assert.ok(home.calls().some((call) => /^loginctl enable-linger \S+$/.test(call)));
            const unit = fs.readFileSync(home.at(kUnits, 'nave-server.service'), 'utf8');
            assert.doesNotMatch(unit.replace(/^#.*$/gm, ''), /<[a-z-]+>/);
            assert.match(unit, /^TimeoutStopSec=20$/m);
            assert.ok(fs.statSync(home.at('nave/logs/server.log')).size > 0);
        });
    });

    test('a changed unit restarts the server; its stop time follows the settings', async () => {
        await withHome({}, async (home) => {
            await home.settings();
            assert.equal((await home.install()).code, 0);
            await home.settings(['NAVE_SHUTDOWN_SECONDS=45']);
            const again = await home.install();
            assert.equal(again.code, 0, again.text);
            const unit = fs.readFileSync(home.at(kUnits, 'nave-server.service'), 'utf8');
            assert.match(unit, /^TimeoutStopSec=55$/m);
            assert.ok(home.calls().some((call) => /restart .*nave-server\.service/.test(call)));
            assert.equal(await get(`${home.url}/ready`), 200);
        });
    });

    test('works in a home with spaces, &, | and %', async () => {
        await withHome({ name: 'an op & co | 100% <x>' }, async (home) => {
            await home.settings();
            tunnelFiles(home);
            const made = await home.install(['--hostname', 'nave.example.org']);
            assert.equal(made.code, 0, made.text);
            assert.match(made.stdout, /healthy/);
            const unit = fs.readFileSync(home.at(kUnits, 'nave-server.service'), 'utf8');
            const escaped = home.home.replace('%', '%%');
            assert.ok(unit.includes(`\nExecStart="${escaped}/.local/bin/nave" serve\n`), unit);
            assert.ok(unit.includes(`\nWorkingDirectory=${escaped}/nave\n`));
            const tunnel = fs.readFileSync(home.at('.cloudflared/nave-config.yml'), 'utf8');
            const credentials = `"${home.at(`.cloudflared/nave-backend-${kUuid}.json`)}"`;
            assert.ok(tunnel.includes(`credentials-file: ${credentials}\n`), tunnel);
            const upgraded = await home.run(['upgrade', wrapper(home, 'new', ':')], {
                env: { UPGRADE_SETTLE: '0' },
            });
            assert.equal(upgraded.code, 0, upgraded.text);
            assert.ok(upgraded.stdout.includes(`backup: ${home.at('nave/backups')}/upgrade-broker-`));
            assert.equal((await home.run(['uninstall'])).code, 0);
            assert.deepEqual(fs.readdirSync(home.at(kUnits)), []);
        });
    });

    test('from a pipe in a checkout, and not elsewhere', async () => {
        await withHome({}, async (home) => {
            await home.settings();
            const input = fs.readFileSync(path.join(deployFolder, 'install.sh'), 'utf8');
            const relative = path.relative(path.dirname(deployFolder), binary());
            const args = ['-s', '--', '--mode', 'binary', '--binary', relative];
            const inside = { command: 'bash', cwd: path.dirname(deployFolder), input };
            const made = await home.run(args, inside);
            assert.equal(made.code, 0, made.text);
            assert.equal(await get(`${home.url}/ready`), 200);
            const elsewhere = await home.run(args, { command: 'bash', input });
            assert.equal(elsewhere.code, 1);
            assert.match(elsewhere.stderr, /run this in a checkout/);
            const half = input.slice(0, Math.floor(input.length / 2));
            const cut = await home.run(['-s', '--', 'uninstall'], { ...inside, input: half });
            assert.notEqual(cut.code, 0);
            assert.equal(await get(`${home.url}/ready`), 200);
        });
    });

    test('a server that does not answer is a warning, not a failure', async () => {
        await withHome({}, async (home) => {
            await home.settings();
            const dead = wrapper(home, 'dead', '[ "$1" = serve ] && exit 1');
            const made = await home.run(['install', '--mode', 'binary', '--binary', dead]);
            assert.equal(made.code, 0, made.text);
            assert.match(made.stderr, /^WARNING: http:.*\/healthz does not answer/m);
            assert.match(made.stdout, /Next steps:/);
            const status = await home.run(['status']);
            assert.equal(status.code, 1);
            assert.match(status.stdout, /health: {2}not ready/);
        });
    });

    test('without lingering it warns and says what to do', async () => {
        await withHome({}, async (home) => {
            await home.settings();
            const made = await home.install([], { env: { FAKE_LOGINCTL_STATUS: '1' } });
            assert.equal(made.code, 0, made.text);
            assert.match(made.stderr, /^WARNING: lingering .*sudo loginctl enable-linger/m);
        });
    });

    test('DRY_RUN=1 writes below its folder and touches nothing else', async () => {
        await withHome({}, async (home) => {
            tunnelFiles(home);
            const before = tree(home.home);
            const dry = { DRY_RUN: '1', DRY_RUN_DIR: home.path('dry') };
            const made = await home.install(['--hostname', 'nave.example.org'], { env: dry });
            assert.equal(made.code, 0, made.text);
            assert.deepEqual(tree(home.home), before);
            assert.deepEqual(home.calls(), []);
            assert.match(made.stderr, /the real run will refuse to start/);
            const written = Object.keys(tree(home.path('dry')));
            for (const file of [
                'nave/data', 'nave/logs', `${kUnits}/nave-server.service`, '.local/bin/nave',
                `${kUnits}/nave-cloudflared.service`, '.cloudflared/nave-config.yml',
            ]) {
                assert.ok(written.includes(file), `${file} of ${written}`);
            }
            const unit = fs.readFileSync(home.path('dry', kUnits, 'nave-server.service'), 'utf8');
            assert.ok(unit.includes(`ExecStart="${home.home}/.local/bin/nave"`));
            await home.settings();
            assert.equal((await home.install(['--hostname', 'nave.example.org'])).code, 0);
            const real = tree(home.at(kUnits));
            assert.deepEqual(tree(home.path('dry', kUnits)), real);
            const temporary = await home.install([], { env: { DRY_RUN: '1', TMPDIR: home.scratch } });
            assert.match(temporary.stdout, /dry run: files are in .*nave-install\.\w+/);
            for (const command of ['upgrade', 'uninstall', 'status']) {
                assert.equal((await home.run([command], { env: { DRY_RUN: '1' } })).code, 2);
            }
        });
    });
});

describe('install refuses', () => {
    const refused = (name, prepare, message, { code = 3, asRoot = false } = {}) =>
        test(name, async (t) => {
            if (asRoot && process.getuid() !== 0) {
                console.error(`install refuses ${name}: not tried, only root can prepare it`);
                return t.skip('needs root');
            }
            await withHome({}, async (home) => {
                await home.settings();
                const options = (await prepare(home)) ?? {};
                const units = home.at(kUnits);
                const found = fs.existsSync(units) ? tree(units) : {};
                const made = await home.install(options.args ?? [], options);
                assert.equal(made.code, code, made.text);
                assert.match(made.stderr, message);
                assert.deepEqual(fs.existsSync(units) ? tree(units) : {}, found);
                assert.deepEqual(home.calls().filter((call) => /enable|start/.test(call)), []);
            });
        });

    refused('without the settings', (home) => fs.rmSync(home.at('nave/.env')),
        /\.env does not exist: copy deploy\/env\.example and fill: cp '.*env\.example' '.*\.env'/);
    refused('wrong settings', (home) => home.settings(['NAVE_MAX_CONNECTIONS=many']),
        /NAVE_MAX_CONNECTIONS[\s\S]*settings in .* are wrong; nothing was started/);
    refused('root', () => ({ env: { ALLOW_ROOT: '0' } }), /refusing to install for root/, { asRoot: true });
    refused('a unit of another user', (home) => {
        fs.mkdirSync(home.at(kUnits), { recursive: true });
        fs.writeFileSync(home.at(kUnits, 'nave-server.service'), '');
        fs.chownSync(home.at(kUnits, 'nave-server.service'), 65534, 65534);
    }, /nave-server\.service belongs to nobody, not to/, { asRoot: true });
    refused('settings of another user', (home) => {
        fs.chownSync(home.at('nave/.env'), 65534, 65534);
    }, /\.env belongs to nobody/, { asRoot: true });
    refused('a unit that is a link', (home) => {
        fs.mkdirSync(home.at(kUnits), { recursive: true });
        fs.symlinkSync('/dev/null', home.at(kUnits, 'nave-server.service'));
    }, /is not a plain file; refusing to replace it/);
    refused('a tunnel without a hostname', tunnelFiles, /the tunnel needs a hostname/);
    refused('a hostname that is none', (home) => {
        tunnelFiles(home);
        return { args: ['--hostname', 'x.org\n  - service: http://10.0.0.1'] };
    }, /is not a hostname/);
    refused('a UUID that is none', (home) => {
        tunnelFiles(home);
        fs.writeFileSync(home.at('.cloudflared/NAVE_TUNNEL_UUID'), 'my-tunnel\n');
        return { args: ['--hostname', 'nave.example.org'] };
    }, /must hold the tunnel's UUID, not "my-tunnel"/);
    for (const name of ['a$b', "a'b", 'a"b', 'a\\b', 'a:b', 'a*b', 'a[b', 'a\nb']) {
        refused(`a home folder ${JSON.stringify(name)}`, (home) => {
            fs.mkdirSync(home.path(name));
            return { env: { HOME: home.path(name) } };
        }, /cannot write units for the home folder/);
    }
    refused('an unknown mode', () => ({ args: ['--mode', 'both'] }), /--mode must be/, { code: 2 });
    refused('an unknown word', () => ({ args: ['--purge'] }), /usage: install\.sh/, { code: 2 });
    refused('a second run beside it', (home) => {
        home.script('flock', 'exit 1');
    }, /another installation or upgrade is at work/, { code: 1 });

    test('another binary over the installed one, which upgrade is for', async () => {
        await withHome({}, async (home) => {
            await home.settings();
            assert.equal((await home.install()).code, 0);
            const other = wrapper(home, 'other', ':');
            const made = await home.run(['install', '--mode', 'binary', '--binary', other]);
            assert.equal(made.code, 3, made.text);
            assert.match(made.stderr, /use install\.sh upgrade/);
        });
    });

    test('open settings are closed, with a warning', async () => {
        await withHome({}, async (home) => {
            await home.settings();
            fs.chmodSync(home.at('nave/.env'), 0o644);
            const made = await home.install();
            assert.equal(made.code, 0, made.text);
            assert.match(made.stderr, /WARNING: .*\.env had mode 644/);
            assert.equal(fs.statSync(home.at('nave/.env')).mode & 0o777, 0o600);
        });
    });
});

describe('upgrade of a binary', () => {
    const quick = { UPGRADE_DEADLINE: '20', UPGRADE_SETTLE: '1' };

    test('makes a backup, changes the binary, keeps the data; rollback keeps what can be read', async () => {
        await withHome({}, async (home) => {
            await home.settings();
            assert.equal((await home.install()).code, 0);
            await makeMesh(home, 'before');
            const next = wrapper(home, 'next', ':');
            const upgraded = await home.run(['upgrade', next], { env: quick });
            assert.equal(upgraded.code, 0, upgraded.text);
            assert.equal(fs.readFileSync(home.at('.local/bin/nave'), 'utf8'), fs.readFileSync(next, 'utf8'));
            assert.equal(await get(`${home.url}/ready`), 200);
            const files = fs.readdirSync(home.at('nave/backups'));
            assert.ok(files.some((file) => /^upgrade-broker-\d{8}T\d{6}Z\.backup$/.test(file)), files);
            assert.ok(files.some((file) => /^upgrade-prekeys-/.test(file)), files);
            assert.ok(files.includes('shade-kt.key'));

            for (const [name, broken] of [
                ['exits', '[ "$1" = serve ] && exit 14'],
                ['hangs', '[ "$1" = serve ] && exec sleep 600'],
                ['dies again', `[ "$1" = serve ] && exec timeout -s KILL 2 '${binary()}' "$@"`],
            ]) {
                const failed = await home.run(['upgrade', wrapper(home, 'broken', broken)], {
                    env: { ...quick, UPGRADE_DEADLINE: '5', UPGRADE_SETTLE: '4' },
                });
                assert.equal(failed.code, 4, `${name}: ${failed.text}`);
                assert.match(failed.stdout, /the old version runs again/);
                assert.equal(fs.readFileSync(home.at('.local/bin/nave'), 'utf8'), fs.readFileSync(next, 'utf8'));
                assert.equal(await get(`${home.url}/ready`), 200, name);
            }
            assert.match(await meshes(home), /before/);
            assert.deepEqual(fs.readdirSync(home.at('nave/data')).filter((f) => f.includes('newer')), []);
            const kept = fs.readdirSync(home.at('nave/backups')).filter((f) => /^upgrade-broker/.test(f));
            assert.ok(kept.length >= 2 && kept.length <= 3, kept);
        });
    });

    test('a version that changed the schema and failed: the backup is restored', async () => {
        await withHome({}, async (home) => {
            await home.settings();
            assert.equal((await home.install()).code, 0);
            await makeMesh(home, 'before');
            const migrates = `if [ "$1" = serve ]; then
                sqlite3 '${home.at('nave/data/broker.db')}' "insert into nave_schema_migrations
                    select module, version + 1, 'later', checksum, applied_at from nave_schema_migrations
                    order by version desc limit 1"
                exit 1
            fi`;
            const failed = await home.run(['upgrade', wrapper(home, 'migrates', migrates)], { env: quick });
            assert.equal(failed.code, 4, failed.text);
            assert.match(failed.stdout, /broker: the new version has changed the schema; restoring/);
            assert.doesNotMatch(failed.stdout, /prekeys: the new version has changed/);
            assert.equal(await get(`${home.url}/ready`), 200);
            assert.match(await meshes(home), /before/);
            const aside = fs.readdirSync(home.at('nave/data')).filter((f) => /^broker\.db\.newer-/.test(f));
            assert.ok(aside.length >= 1, 'what the new version wrote is kept');
        });
    });

    test('refuses before it stops anything', async () => {
        await withHome({}, async (home) => {
            await home.settings();
            assert.equal((await home.install()).code, 0);
            const cases = [
                [home.path('nothing'), 3, /is not an executable file/],
                [wrapper(home, 'foreign', 'exit 126'), 3, /does not run on this machine/],
                [wrapper(home, 'strict', '[ "$1" = config ] && exit 12'), 3, /does not accept the settings/],
                [binary(), 0, /installed already/],
            ];
            for (const [file, code, message] of cases) {
                const result = await home.run(['upgrade', file], { env: quick });
                assert.equal(result.code, code, result.text);
                assert.match(result.text, message);
            }
            assert.equal((await home.run(['upgrade'])).code, 2);
            assert.deepEqual(home.calls().filter((call) => / stop /.test(call)), []);
        });
    });

    test('without a backup nothing is changed', async () => {
        await withHome({}, async (home) => {
            await home.settings();
            assert.equal((await home.install()).code, 0);
            fs.rmdirSync(home.at('nave/backups'));
            fs.writeFileSync(home.at('nave/backups'), '');
            const failed = await home.run(['upgrade', wrapper(home, 'next', ':')], { env: quick });
            assert.equal(failed.code, 1, failed.text);
            assert.match(failed.stderr, /no backup could be made, so nothing was changed/);
            assert.ok(fs.readFileSync(home.at('.local/bin/nave')).equals(fs.readFileSync(binary())));
            await until(async () => (await get(`${home.url}/ready`)) === 200, { what: 'running again' });
        });
    });
});

describe('uninstall', () => {
    test('stops, removes units and binary, keeps settings, data and backups', async () => {
        await withHome({}, async (home) => {
            await home.settings();
            tunnelFiles(home);
            assert.equal((await home.install(['--hostname', 'nave.example.org'])).code, 0);
            await makeMesh(home, 'kept');
            const installed = path.join(home.at('nave/deploy'), 'backup.sh');
            const backup = await home.run([], { command: installed });
            assert.equal(backup.code, 0, backup.text);
            const settings = fs.readFileSync(home.at('nave/.env'));
            const gone = await home.run(['uninstall']);
            assert.equal(gone.code, 0, gone.text);
            await assert.rejects(get(`${home.url}/healthz`));
            assert.deepEqual(fs.readdirSync(home.at(kUnits)), []);
            assert.ok(!fs.existsSync(home.at('.local/bin/nave')));
            assert.deepEqual(fs.readFileSync(home.at('nave/.env')), settings);
            assert.ok(fs.readdirSync(home.at('nave/backups')).some((file) => /^broker-/.test(file)));
            assert.ok(fs.existsSync(home.at(`.cloudflared/nave-backend-${kUuid}.json`)));
            assert.match(await meshes(home), /kept/);
            assert.equal((await home.run(['status'])).code, 1);
            assert.equal((await home.run(['uninstall'])).code, 0);
            const again = await home.install(['--hostname', 'nave.example.org']);
            assert.equal(again.code, 0, again.text);
            assert.match(await meshes(home), /kept/);
        });
    });
});

describe('backup.sh', () => {
    test('keeps the newest, one file per database, and cuts logs in place', async () => {
        await withHome({}, async (home) => {
            await home.settings();
            assert.equal((await home.install()).code, 0);
            const folder = home.at('nave/backups');
            for (let day = 10; day < 18; day += 1) {
                fs.writeFileSync(path.join(folder, `broker-202601${day}T033000Z.backup`), '');
            }
            fs.writeFileSync(path.join(folder, 'mine.backup'), '');
            const log = home.at('nave/logs/cloudflared.log');
            fs.writeFileSync(log, Buffer.alloc(10 * 1024 * 1024 + 1, 'x'));
            const inode = fs.statSync(log).ino;
            const made = await home.run([], {
                command: home.at('nave/deploy/backup.sh'),
                env: { BACKUP_KEEP: '3' },
            });
            assert.equal(made.code, 0, made.text);
            const kept = fs.readdirSync(folder).filter((file) => /^broker-/.test(file)).sort();
            assert.deepEqual(kept.slice(0, 2), [
                'broker-20260116T033000Z.backup',
                'broker-20260117T033000Z.backup',
            ]);
            assert.equal(kept.length, 3);
            assert.equal(fs.statSync(path.join(folder, kept[2])).mode & 0o777, 0o600);
            assert.ok(fs.existsSync(path.join(folder, 'mine.backup')));
            assert.equal(fs.statSync(log).ino, inode);
            assert.equal(fs.statSync(log).size, 0);
            assert.equal(fs.statSync(`${log}.1`).size, 10 * 1024 * 1024 + 1);
        });
    });

    test('names every service of the binary', async () => {
        const { stderr } = await runCommand(['serve', 'no-such-service']);
        const known = stderr.match(/known: (.*)/)[1].split(', ');
        const script = fs.readFileSync(path.join(deployFolder, 'operator.sh'), 'utf8');
        assert.deepEqual(script.match(/^services=\((.*)\)$/m)[1].split(' '), known);
    });
});

describe('container mode', () => {
    const install = (home) => home.run(['install', '--mode', 'container']);
    const quick = { UPGRADE_DEADLINE: '5', UPGRADE_SETTLE: '0' };

    test('installs, upgrades, and goes back to the tag before', async () => {
        await withHome({}, async (home) => {
            await home.settings();
            fakeDocker(home);
            const made = await install(home);
            assert.equal(made.code, 0, made.text);
            assert.match(made.stdout, /healthy/);
            const unit = fs.readFileSync(home.at(kUnits, 'nave-backend.service'), 'utf8');
            const compose = `${home.path('bin/docker')} compose --env-file "${home.at('nave/.env')}" -p nave -f "${home.at('nave/deploy/compose.yml')}"`;
            assert.ok(unit.includes(`\nExecStartPre=-${compose} down\nExecStart=${compose} up\nExecStop=${compose} down\n`), unit);
            assert.ok(!fs.existsSync(home.at(kUnits, 'nave-server.service')));
            assert.ok(home.calls().some((call) => /docker run .*--cap-drop ALL .*chown 10001:\d+ \/data/.test(call)));

            const upgraded = await home.run(['upgrade', 'v1.2.3'], { env: quick });
            assert.equal(upgraded.code, 0, upgraded.text);
            assert.equal(fs.readFileSync(home.at('nave/version.env'), 'utf8'), 'NAVE_VERSION=v1.2.3\n');
            const failed = await home.run(['upgrade', 'broken'], { env: quick });
            assert.equal(failed.code, 4, failed.text);
            assert.equal(fs.readFileSync(home.at('nave/version.env'), 'utf8'), 'NAVE_VERSION=before-upgrade\n');
            assert.ok(home.calls().includes('docker tag ghcr.io/nave/nave:v1.2.3 ghcr.io/nave/nave:before-upgrade'));
            for (const [tag, message] of [['absent', /there is no image/], ['a b;c', /is not an image's tag/]]) {
                const refused = await home.run(['upgrade', tag], { env: quick });
                assert.notEqual(refused.code, 0);
                assert.match(refused.stderr, message);
            }
            const gone = await home.run(['uninstall']);
            assert.equal(gone.code, 0, gone.text);
            assert.ok(fs.existsSync(home.at('nave/data/backups')));
        });
    });

    test('takes docker-compose where docker has no plugin, and says when there is neither', async () => {
        await withHome({}, async (home) => {
            await home.settings();
            fakeDocker(home);
            const plugin = fs.readFileSync(home.path('bin/docker'), 'utf8');
            fs.writeFileSync(home.path('bin/docker'), plugin.replace('case "$*"', '[ "$1" = compose ] && exit 1\ncase "$*"'));
            home.script('docker-compose', 'case "$*" in *" up") exec sleep 600 ;; esac');
            const made = await install(home);
            assert.equal(made.code, 0, made.text);
            const unit = fs.readFileSync(home.at(kUnits, 'nave-backend.service'), 'utf8');
            assert.ok(unit.includes(`\nExecStart=${home.path('bin/docker-compose')} --env-file`), unit);
        });
    });

    test('changing the mode stops the other server', async () => {
        await withHome({}, async (home) => {
            await home.settings();
            fakeDocker(home);
            assert.equal((await install(home)).code, 0);
            fs.rmSync(home.path('bin/curl'));
            const made = await home.install();
            assert.equal(made.code, 0, made.text);
            assert.ok(home.calls().includes('systemctl --user disable --now nave-backend.service'));
            assert.ok(!fs.existsSync(home.at(kUnits, 'nave-backend.service')));
            assert.equal(await get(`${home.url}/ready`), 200);
        });
    });
});
