// The Debian package: built, looked into, and installed, upgraded, removed and purged on a machine
// where its service runs.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { bootMachine, machineRoot, whyNoMachine } from '../support/machine.mjs';
import { binary, temporaryDirectory } from '../support/server.mjs';

const kRoot = fileURLToPath(new URL('../..', import.meta.url));
const kHealth = 'curl --silent --show-error --fail --max-time 5 http://127.0.0.1:8080/health';
const kApt = 'DEBIAN_FRONTEND=noninteractive apt-get --yes';
const work = temporaryDirectory('nave-package');
after(() => fs.rmSync(work, { recursive: true, force: true }));

const tool = (command, ...args) => execFileSync(command, args, { encoding: 'utf8', cwd: kRoot });

function build(folder, suffix) {
    const said = execFileSync('packaging/build-deb',
                              [...(suffix ? ['--suffix', suffix] : []), path.join(work, folder)], {
        cwd: kRoot,
        encoding: 'utf8',
        env: {
            ...process.env, NAVE_BIN: binary(), SOURCE_DATE_EPOCH: '1767225600',
            DEBFULLNAME: 'Nave maintainers', DEBEMAIL: 'maintainers@nave.invalid',
        },
    });
    return said.trim().split('\n').at(-1);
}

const sha256 = (file) => createHash('sha256').update(fs.readFileSync(file)).digest('hex');

// The shell texts of the section about the package: what an operator is told to run.
const [kInstalling, kSecret, kCommand, kRestoring] = [...fs.readFileSync(path.join(kRoot, 'deploy/README.md'), 'utf8')
    .split('\n## Debian package\n')[1].split('\n## ')[0]
    .matchAll(/```sh\n([^]*?)```/g)].map((match) => match[1].trim());

let deb;
before(() => {
    deb = build('first');
});

test('the package is named and versioned as the tree says', () => {
    const version = tool('scripts/version', '--show').trim();
    assert.equal(tool('dpkg-deb', '--field', deb, 'Package', 'Version'),
                 `Package: nave\nVersion: ${version}-1\n`);
    assert.equal(path.basename(deb),
                 `nave_${version}-1_${tool('dpkg', '--print-architecture').trim()}.deb`);
});

test('every library that is linked is a computed dependency', () => {
    const depends = tool('dpkg-deb', '--field', deb, 'Depends');
    for (const name of ['adduser', 'libboost-json1.81.0', 'libc6', 'libfmt9', 'libpq5',
                        'libprometheus-cpp-core1.0', 'libsodium23', 'libspdlog1.10-fmt9',
                        'libsqlite3-0', 'libssl3', 'libstdc++6', 'libutf8proc2']) {
        assert.ok(depends.split(', ').some((entry) => entry.split(' ')[0] === name),
                  `${name} in ${depends}`);
    }
    const needed = tool('objdump', '-p', binary()).match(/NEEDED/g).length;
    // libcrypto is in libssl3, libm in libc6; the loader's own entries are not libraries.
    assert.ok(depends.split(', ').length - 1 >= needed - 3, `${needed} libraries: ${depends}`);
});

test('files and modes', () => {
    const listed = new Map(tool('dpkg-deb', '--contents', deb).trim().split('\n').map((line) => {
        const [mode, owner, , , , name] = line.split(/\s+/);
        return [name, `${mode} ${owner}`];
    }));
    for (const [name, mode] of listed) {
        assert.ok(mode.endsWith(' root/root'), `${name} ${mode}`);
        assert.doesNotMatch(mode, /^.{3,9}[sStT]|^.{5}w|^.{8}w/, `${name} ${mode}`);
    }
    const files = [...listed.keys()].filter((name) => !name.endsWith('/')).sort();
    assert.deepEqual(files, [
        './etc/nave/nave.env',
        './lib/systemd/system/nave-backup.service',
        './lib/systemd/system/nave-backup.timer',
        './lib/systemd/system/nave.service',
        './usr/bin/nave',
        './usr/lib/nave/nave-backup',
        './usr/share/bash-completion/completions/nave',
        './usr/share/doc/nave/README.md.gz',
        './usr/share/doc/nave/SECURITY.md',
        './usr/share/doc/nave/changelog.Debian.gz',
        './usr/share/doc/nave/changelog.gz',
        './usr/share/doc/nave/copyright',
        './usr/share/doc/nave/licenses/dashboard.txt',
        './usr/share/doc/nave/licenses/docs.txt.gz',
        './usr/share/lintian/overrides/nave',
        './usr/share/man/man1/nave.1.gz',
    ]);
    assert.equal(listed.get('./etc/nave/nave.env'), '-rw-r----- root/root');
    assert.equal(listed.get('./usr/bin/nave'), '-rwxr-xr-x root/root');
    assert.equal(spawnSync('dpkg-deb', ['--info', deb, 'conffiles'], { encoding: 'utf8' }).stdout,
                 '/etc/nave/nave.env\n');
});

test('lintian finds nothing', () => {
    const checked = spawnSync('lintian', ['--fail-on', 'error,warning', '--allow-root', deb],
                              { encoding: 'utf8' });
    assert.equal(checked.status, 0, checked.error?.message ?? checked.stdout + checked.stderr);
    assert.equal(checked.stdout, '');
});

test('the same input gives the same package', () => {
    assert.equal(sha256(build('second')), sha256(deb));
});

test('a binary of another version is refused', () => {
    const other = path.join(work, 'other-nave');
    fs.writeFileSync(other, '#!/bin/sh\necho "nave 9.9.9 (abc)"\n', { mode: 0o755 });
    const built = spawnSync('packaging/build-deb', [path.join(work, 'fourth')], {
        cwd: kRoot, encoding: 'utf8', env: { ...process.env, NAVE_BIN: other },
    });
    assert.equal(built.status, 1);
    assert.match(built.stderr, /the binary says: nave 9\.9\.9/);
});

test('the manual page names every command, the completion asks for them', () => {
    const commands = [...tool(binary(), '--help').split('Subcommands:')[1]
        .matchAll(/^ {2}([a-z]+) /gm)].map((match) => match[1]);
    assert.ok(commands.length >= 10, commands.join(' '));
    const page = tool('sh', '-c', 'MANWIDTH=200 man --local-file --warnings packaging/nave.1 2>&1')
        .replace(/.\x08/g, '');
    assert.doesNotMatch(page, /warning:/);
    for (const command of commands) {
        assert.match(page, new RegExp(`^ {7}${command}\\b`, 'm'));
    }
    const complete = (...words) => tool('bash', '-c', `
        . packaging/nave.bash-completion
        COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
        _nave
        printf '%s\\n' "\${COMPREPLY[@]}"`, 'bash', binary(), ...words).trim().split('\n');
    assert.deepEqual(complete(''), commands);
    assert.deepEqual(complete('he'), ['healthcheck']);
    assert.deepEqual(complete('broker', 'me'), ['mesh', 'member']);
    assert.ok(complete('serve', '--l').includes('--listen'));
});

test('it installs and goes where no init runs', (t) => {
    const reason = whyNoMachine();
    if (reason) {
        t.skip(reason);
        return;
    }
    const { root, remove } = machineRoot();
    try {
        fs.copyFileSync(deb, path.join(root, 'nave.deb'));
        const inside = (text) => tool('unshare', '--mount', '--pid', '--fork', 'chroot', root,
                                      'env', '-i', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin',
                                      'DEBIAN_FRONTEND=noninteractive', 'sh', '-ec', text);
        inside('dpkg --install /nave.deb');
        assert.equal(inside('nave version'), tool(binary(), 'version'));
        assert.equal(inside('stat -c "%a %U %G" /etc/nave/nave.env /etc/nave/secrets'),
                     '640 root nave\n750 root nave\n');
        assert.match(inside('getent passwd nave'), /:\/var\/lib\/nave:\/usr\/sbin\/nologin$/m);
        inside('dpkg --remove nave && dpkg --purge nave && test ! -e /etc/nave');
    } finally {
        remove();
    }
});

test('on a machine: service, confinement, upgrade, removal, purge', async (t) => {
    const reason = whyNoMachine();
    if (reason) {
        t.skip(reason);
        return;
    }
    const newer = build('newer', '+next');
    const machine = await bootMachine({
        prepare(root) {
            fs.copyFileSync(deb, path.join(root, 'root', path.basename(deb)));
            fs.copyFileSync(newer, path.join(root, 'root/newer.deb'));
        },
    });
    let isBroken = false; // each step stands on the one before
    const step = (name, body) => t.test(name, async () => {
        assert.ok(!isBroken, 'an earlier step failed');
        isBroken = true;
        await body();
        isBroken = false;
    });
    const property = async (name) =>
        (await machine.succeed(`systemctl show --property=${name} --value nave`)).trim();
    const healthy = () => machine.until(kHealth);
    try {
        await step('installing starts it and enables it', async () => {
            const [install, ...look] = kInstalling.split('\n');
            await machine.succeed(`cd /root; ${install
                .replace('apt-get', kApt)
                .replace(/nave_\S+\.deb/, path.basename(deb))}`);
            for (const line of look) {
                await machine.until(line);
            }
            assert.match(await healthy(), /"status":"ok"/);
            assert.equal((await machine.succeed('systemctl is-enabled nave')).trim(), 'enabled');
            assert.equal(await machine.succeed('stat -c "%a %U %G" /var/lib/nave'),
                         '700 nave nave\n');
            assert.equal(
                (await machine.succeed('systemd-analyze verify --man=no nave.service 2>&1')).trim(),
                '');
        });

        await step('the process is confined', async () => {
            const pid = await property('MainPID');
            const status = await machine.succeed(`cat /proc/${pid}/status`);
            assert.match(status, /^Seccomp:\t2$/m);
            assert.match(status, /^NoNewPrivs:\t1$/m);
            for (const set of ['CapBnd', 'CapEff', 'CapPrm', 'CapInh', 'CapAmb']) {
                assert.match(status, new RegExp(`^${set}:\\t0{16}$`, 'm'));
            }
            assert.equal(await machine.succeed(`ps -o user= -p ${pid}`), 'nave\n');
            const mounts = (await machine.succeed(`cat /proc/${pid}/mountinfo`)).trim().split('\n')
                .map((line) => line.split(' '));
            const top = (place) => mounts.filter((fields) => fields[4] === place).at(-1)?.[5];
            assert.match(top('/'), /^ro,/);
            assert.match(top('/var/lib/nave'), /^rw,/);
            assert.match(top('/home'), /^ro,/);
            assert.doesNotMatch(await machine.succeed('ss --listening --tcp --numeric 2>/dev/null ||' +
                ' cat /proc/net/tcp'), /00000000:1F90/);
            await machine.succeed('systemd-analyze security --threshold=12 nave.service');
        });

        await step('it comes back when it is killed', async () => {
            const pid = await property('MainPID');
            assert.ok(Number(pid) > 1);
            await machine.succeed(`kill -KILL ${pid}`);
            await machine.until(`[ "$(systemctl show --property=NRestarts --value nave)" = 1 ]`);
            await healthy();
            assert.notEqual(await property('MainPID'), pid);
        });

        await step('a wrong setting is one clear line and no loop of restarts', async () => {
            await machine.succeed('echo NAVE_WORKERS=many >> /etc/nave/nave.env;' +
                                  ' systemctl restart nave; true');
            await machine.until('systemctl is-failed --quiet nave');
            assert.equal(await property('ExecMainStatus'), '12');
            assert.match(await machine.succeed('journalctl --unit=nave --output=cat'),
                         /^nave: NAVE_WORKERS /m);
            await machine.succeed("sed -i '/^NAVE_WORKERS=many$/d' /etc/nave/nave.env");
        });

        await step('a secret lies in a file that only root and the service read', async () => {
            await machine.succeed(`set -e\n${kSecret}`);
            await healthy();
            const ask = 'curl --silent --output /dev/null --write-out "%{http_code}"' +
                ' http://127.0.0.1:8080/prekeys/shade-observer/api/state';
            assert.equal(await machine.succeed(ask), '401');
            assert.equal(await machine.succeed(
                `${ask} --header "Authorization: Bearer $(cat /etc/nave/secrets/observer)"`), '200');
            const { status } = await machine.run('cat /etc/nave/nave.env /etc/nave/secrets/observer',
                                                 { user: 'nobody' });
            assert.notEqual(status, 0);
        });

        await step('commands run with the settings and the user of the service', async () => {
            assert.match(await machine.succeed(kCommand), /^ok +storage +prekeys/m);
        });

        await step('backups are made by a timer, kept to a number, and come back', async () => {
            assert.equal((await machine.succeed('systemctl is-active nave-backup.timer')).trim(),
                         'active');
            await machine.succeed('systemd-analyze security --threshold=12 nave-backup.service');
            await machine.succeed('systemctl start nave-backup');
            const backups = async () => (await machine.succeed('ls /var/backups/nave'))
                .trim().split('\n').map((name) => name.replace(/-\d{8}T\d{6}Z/, '')).join(' ');
            assert.equal(await backups(), 'broker.backup prekeys.backup shade-kt.key');
            assert.equal(await machine.succeed('stat -c "%a %U" /var/backups/nave ' +
                                               '/var/backups/nave/*.backup | sort -u'),
                         '600 nave\n700 nave\n');
            // The time in the names has seconds: the next one takes another name.
            await machine.succeed('cd /var/backups/nave && for name in prekeys broker; do' +
                ' mv $name-*.backup $name-20250101T000000Z.backup; done;' +
                ' echo BACKUP_KEEP=1 >> /etc/nave/nave.env; systemctl start nave-backup');
            assert.equal(await backups(), 'broker.backup prekeys.backup shade-kt.key');
            assert.equal((await machine.run('ls /var/backups/nave/*-2025*')).status, 2);

            await machine.succeed(`set -e\n${kRestoring.replace(/^systemctl start.*\n/, '')}`);
            await healthy();
            await machine.succeed('test -e /var/lib/nave/shade-prekeys.db');
        });

        await step('an upgrade restarts it and keeps what the operator wrote', async () => {
            const pid = await property('MainPID');
            const settings = await machine.succeed('sha256sum /etc/nave/nave.env');
            await machine.succeed(`${kApt} install /root/newer.deb`);
            await machine.until(`[ "$(systemctl show --property=MainPID --value nave)" != ${pid} ]`);
            await healthy();
            assert.equal(await machine.succeed('sha256sum /etc/nave/nave.env'), settings);
            assert.equal(await machine.succeed('stat -c "%a %U %G" /etc/nave/nave.env'),
                         '640 root nave\n');
        });

        await step('removing stops it and keeps data and settings', async () => {
            const key = await machine.succeed('sha256sum /var/lib/nave/shade-kt.key');
            await machine.succeed(`${kApt} remove nave`);
            assert.notEqual((await machine.run('pgrep --exact nave')).status, 0);
            assert.notEqual((await machine.run(kHealth)).status, 0);
            await machine.succeed('test -e /etc/nave/nave.env -a -e /etc/nave/secrets/observer');
            assert.equal(await machine.succeed('sha256sum /var/lib/nave/shade-kt.key'), key);
            await machine.succeed(`${kApt} install /root/newer.deb`);
            await healthy();
            assert.equal(await machine.succeed('sha256sum /var/lib/nave/shade-kt.key'), key);
        });

        await step('purging takes everything', async () => {
            await machine.succeed(`${kApt} purge nave`);
            await machine.succeed('test ! -e /etc/nave -a ! -e /var/lib/nave' +
                                  ' -a -e /var/backups/nave/shade-kt.key');
            assert.notEqual((await machine.run('systemctl is-active nave-backup.timer')).status, 0);
            assert.equal((await machine.run('systemctl cat nave')).status, 1);
            assert.equal((await machine.run('dpkg-query --status nave')).status, 1);
        });
    } finally {
        await machine.stop();
    }
});
