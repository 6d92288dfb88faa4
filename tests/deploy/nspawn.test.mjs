// deploy/install.sh on a real machine: Debian 12 booted by systemd-nspawn, an operator without a
// login, real user units in their sandbox. The tunnel and Docker are stubs that say what they see.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { bootMachine, whyNoMachine } from '../support/machine.mjs';
import { deployFolder } from '../support/operator_home.mjs';
import { binary } from '../support/server.mjs';

const kUuid = '6ff42ae2-765d-4adf-8112-31c55c1551ef';
const kOddHome = '/home/an op & co | 100%';

// What the sandbox of nave-cloudflared.service lets a program do, one line each.
const kTunnelStub = `#!/bin/bash
echo "arguments: $*"
grep -c . "$2" >/dev/null && echo 'config: readable'
cat ~/nave/.env ~/nave/data/shade-kt.key 2>/dev/null && echo 'secrets: readable'
: 2>/dev/null >~/.cloudflared/x && echo 'config: writable'
[ -e "$XDG_RUNTIME_DIR/systemd/private" ] && echo 'service manager: there'
systemctl --user show-environment >/dev/null 2>&1 && echo 'service manager: reachable'
curl -s -m 5 http://127.0.0.1:8081/healthz && echo && echo 'server: reachable'
echo ready
exec sleep infinity
`;

const kDockerStub = `#!/bin/bash
case "$*" in
    *" up")
        [ "$(curl -s -m 5 --unix-socket /run/docker.sock http://docker/_ping)" = OK ] && echo 'docker: answers'
        cat ~/nave/.env >/dev/null && echo 'settings: readable'
        : 2>/dev/null >~/escaped && echo 'home: writable'
        echo "version: $NAVE_VERSION"
        exec sleep infinity ;;
esac
exit 0
`;

const reason = whyNoMachine();

describe('a real machine', { skip: reason }, () => {
    let machine;
    const operator = (text) => machine.run(text, { user: 'nave-op' });
    const asOperator = (text) => machine.succeed(text, { user: 'nave-op' });
    const ready = () => machine.until('curl -fsS -m 5 http://127.0.0.1:8081/ready');
    const unit = async (name, property) =>
        (await asOperator(`systemctl --user show -p ${property} --value ${name}`)).trim();
    const meshes = () => asOperator('NAVE_DATA_DIR=~/nave/data ~/.local/bin/nave broker mesh list');
    const upgrade = (file) =>
        operator(`UPGRADE_DEADLINE=30 UPGRADE_SETTLE=2 /opt/nave/deploy/install.sh upgrade ${file}`);

    before(async () => {
        machine = await bootMachine({
            prepare(root) {
                fs.cpSync(deployFolder, path.join(root, 'opt/nave/deploy'), { recursive: true });
                const put = (name, content) =>
                    fs.writeFileSync(path.join(root, 'opt/nave', name), content, { mode: 0o755 });
                const real = fs.readFileSync(binary());
                put('nave', real);
                put('next', Buffer.concat([real, Buffer.from('another version')]));
                put('never-ready', '#!/bin/sh\n[ "$1" = serve ] && exec sleep infinity\nexec /opt/nave/next "$@"\n');
                put('migrates', `#!/bin/sh
if [ "$1" = serve ]; then
    sqlite3 "$NAVE_DATA_DIR/broker.db" "insert into nave_schema_migrations
        select module, version + 1, 'later', checksum, applied_at from nave_schema_migrations
        order by version desc limit 1"
    exit 14
fi
exec /opt/nave/next "$@"\n`);
                put('cloudflared', kTunnelStub);
                put('docker', kDockerStub);
            },
        });
        // nspawn binds an unlinked file there, over which ProtectKernelLogs= cannot mount.
        await machine.succeed('umount /proc/kmsg; groupadd docker');
        await machine.succeed('useradd -m -s /bin/bash nave-op');
        await machine.succeed(`useradd -m -s /bin/bash -G docker -d '${kOddHome}' nave-odd`);
        // Whoever has the group's rights gets an answer; nobody else does.
        await machine.succeed(`cat >/etc/systemd/system/docker.socket <<'END'
[Socket]
ListenStream=/run/docker.sock
SocketGroup=docker
SocketMode=0660
Accept=yes
END
cat >/etc/systemd/system/docker@.service <<'END'
[Service]
ExecStart=/bin/sh -c 'printf "HTTP/1.0 200 OK\\\\r\\\\n\\\\r\\\\nOK"'
StandardInput=socket
StandardOutput=socket
END
systemctl daemon-reload; systemctl start docker.socket`);
    });
    after(() => machine?.stop());

    test('refuses without settings; then installs, with lingering, for a user without a login', async () => {
        const refused = await operator('/opt/nave/deploy/install.sh --mode binary --binary /opt/nave/nave');
        assert.equal(refused.status, 3, refused.stderr);
        assert.match(refused.stderr, /copy deploy\/env\.example and fill/);
        await asOperator(`install -m 600 ~/nave/deploy/env.example ~/nave/.env
            mkdir -p ~/.local/bin ~/.cloudflared && cp /opt/nave/cloudflared ~/.local/bin/
            echo ${kUuid} >~/.cloudflared/NAVE_TUNNEL_UUID
            (umask 077; echo '{}' >~/.cloudflared/nave-backend-${kUuid}.json)`);
        const made = await operator('/opt/nave/deploy/install.sh --mode binary --binary /opt/nave/nave --hostname nave.example.org');
        assert.equal(made.status, 0, made.stdout + made.stderr);
        assert.match(made.stdout, /healthy: http:\/\/127\.0\.0\.1:8081\/ready answers/);
        assert.doesNotMatch(made.stderr, /WARNING/);
        assert.equal((await machine.run('ls /var/lib/systemd/linger')).stdout.trim(), 'nave-op');
        for (const name of ['nave-server.service', 'nave-cloudflared.service', 'nave-backup.timer']) {
            assert.equal(await unit(name, 'ActiveState'), 'active', name);
            assert.match(await unit(name, 'UnitFileState'), /enabled/, name);
        }
        const status = await operator('~/nave/deploy/install.sh status');
        assert.equal(status.status, 0, status.stdout + status.stderr);
        assert.match(status.stdout, /health: {2}ready/);
        assert.match(await asOperator('cat ~/nave/logs/server.log'), /"msg":"listening","address":"127\.0\.0\.1:8081"/);
    });

    test('the server has no rights, no other files and no way to the service manager', async () => {
        const pid = await unit('nave-server.service', 'MainPID');
        const process = await machine.succeed(`cat /proc/${pid}/status`);
        assert.match(process, /^CapBnd:\t0{16}$/m);
        assert.match(process, /^NoNewPrivs:\t1$/m);
        assert.match(process, /^Seccomp:\t2$/m);
        const seen = await machine.succeed(`nsenter --target ${pid} --mount ls -A /home/nave-op /home/nave-op/nave /home/nave-op/.local/bin`);
        assert.deepEqual(seen.split('\n').filter((line) => line && !line.endsWith(':')).sort(), ['.local', 'data', 'nave', 'nave']);
        const mounts = await machine.succeed(`cat /proc/${pid}/mountinfo`);
        const writable = mounts.split('\n').map((line) => line.split(' '))
            .filter((fields) => fields.length > 5 && /(^|,)rw(,|$)/.test(fields[5])).map((fields) => fields[4])
            .filter((point) => !/^\/(dev|proc|run|sys)(\/|$)/.test(point));
        assert.deepEqual([...new Set(writable)].sort(), ['/home/nave-op/nave/data', '/tmp', '/var/tmp']);
        const sockets = await machine.run(`nsenter --target ${pid} --mount sh -c 'ls /run/user/*/systemd/private; cat /run/user/*/bus; cat /run/docker.sock'`);
        assert.match(sockets.stderr, /private/);
        assert.doesNotMatch(sockets.stdout, /private/);
        const stat = await machine.succeed(`nsenter --target ${pid} --mount stat -c '%a %F' /run/docker.sock`);
        assert.match(stat, /^0 /, 'a node without rights stands where the socket was');
    });

    test('the tunnel sees its configuration and the server, nothing else', async () => {
        await machine.until("grep -q '^ready' /home/nave-op/nave/logs/cloudflared.log");
        const log = await asOperator('cat ~/nave/logs/cloudflared.log');
        assert.match(log, /^arguments: --config \/home\/nave-op\/\.cloudflared\/nave-config\.yml tunnel run nave-backend$/m);
        assert.match(log, /^config: readable$/m);
        assert.match(log, /^server: reachable$/m);
        assert.doesNotMatch(log, /writable|secrets:|service manager:/);
    });

    test('kill -9: systemd starts it again, with its data; so does a restart of the manager', async () => {
        await asOperator('NAVE_DATA_DIR=~/nave/data ~/.local/bin/nave broker mesh create kept');
        const killed = await unit('nave-server.service', 'MainPID');
        await machine.succeed(`kill -9 ${killed}`);
        await machine.until(`test "$(systemctl --user show -p NRestarts --value nave-server.service)" = 1`, { user: 'nave-op' });
        await ready();
        assert.notEqual(await unit('nave-server.service', 'MainPID'), killed);
        assert.match(await meshes(), /kept/);
        await machine.succeed('systemctl restart "user@$(id -u nave-op)"');
        await ready();
        assert.equal(await unit('nave-cloudflared.service', 'ActiveState'), 'active');
        assert.match(await meshes(), /kept/);
    });

    test('a wrong setting stops it for good, with one line that says which', async () => {
        await asOperator('cp -p ~/nave/.env ~/env.good; echo NAVE_WORKERS=many >>~/nave/.env; systemctl --user restart nave-server');
        await machine.until('test "$(systemctl --user is-active nave-server)" = failed', { user: 'nave-op' });
        assert.equal(await unit('nave-server.service', 'ExecMainStatus'), '12');
        assert.match(await asOperator('tail -n 2 ~/nave/logs/server.log'), /NAVE_WORKERS/);
        await asOperator('mv ~/env.good ~/nave/.env; systemctl --user restart nave-server');
        await ready();
    });

    test('the nightly backup runs in its sandbox beside the server', async () => {
        const next = await asOperator('systemctl --user list-timers nave-backup.timer --no-legend');
        assert.match(next, /nave-backup\.timer/);
        await asOperator('systemctl --user start nave-backup.service');
        const files = await asOperator('stat -c "%a %n" ~/nave/backups/*');
        assert.match(files, /^600 .*\/broker-\d{8}T\d{6}Z\.backup$/m);
        assert.match(files, /^600 .*\/prekeys-\d{8}T\d{6}Z\.backup$/m);
    });

    test('upgrade; and back from one never ready, with data; and from one that changed the schema', async () => {
        const upgraded = await upgrade('/opt/nave/next');
        assert.equal(upgraded.status, 0, upgraded.stdout + upgraded.stderr);
        await machine.succeed('cmp /home/nave-op/.local/bin/nave /opt/nave/next');
        await asOperator('NAVE_DATA_DIR=~/nave/data ~/.local/bin/nave broker mesh create after-upgrade');
        for (const version of ['never-ready', 'migrates']) {
            const failed = await upgrade(`/opt/nave/${version}`);
            assert.equal(failed.status, 4, `${version}: ${failed.stdout}${failed.stderr}`);
            assert.equal(/restoring/.test(failed.stdout), version === 'migrates');
            await machine.succeed('cmp /home/nave-op/.local/bin/nave /opt/nave/next');
            await ready();
            const listed = await meshes();
            assert.match(listed, /kept/);
            assert.match(listed, /after-upgrade/);
        }
    });

    test('uninstall keeps settings, data and backups', async () => {
        const gone = await operator('~/nave/deploy/install.sh uninstall');
        assert.equal(gone.status, 0, gone.stdout + gone.stderr);
        assert.notEqual((await machine.run('curl -s -m 5 http://127.0.0.1:8081/healthz')).status, 0);
        assert.equal((await operator('systemctl --user list-unit-files "nave-*" --no-legend')).stdout, '');
        await asOperator('test -f ~/nave/.env && ls ~/nave/data/broker.db ~/nave/backups/*.backup');
        assert.match((await machine.run('NAVE_DATA_DIR=/home/nave-op/nave/data /opt/nave/nave broker mesh list')).stdout, /kept/);
    });

    test('a home with spaces, &, | and % works; so does the unit of the container', async () => {
        const odd = (text) => machine.run(text, { user: 'nave-odd' });
        await odd('mkdir -p ~/nave ~/bin && (umask 077; echo NAVE_LISTEN=127.0.0.1:8091 >~/nave/.env)');
        const made = await odd('/opt/nave/deploy/install.sh --mode binary --binary /opt/nave/nave');
        assert.equal(made.status, 0, made.stdout + made.stderr);
        assert.match(made.stdout, /healthy/, made.stderr);
        const backup = await odd('systemctl --user start nave-backup.service && ls ~/nave/backups');
        assert.match(backup.stdout, /^broker-/m, backup.stderr);
        await machine.succeed('cp /opt/nave/docker /usr/local/bin/');
        const changed = await odd('HEALTH_DEADLINE=5 /opt/nave/deploy/install.sh --mode container');
        assert.equal(changed.status, 0, changed.stdout + changed.stderr);
        assert.match(changed.stderr, /WARNING: http:\/\/127\.0\.0\.1:8081\/healthz does not answer/);
        assert.equal((await odd('systemctl --user is-active nave-backend.service')).stdout.trim(), 'active');
        const log = (await odd('cat ~/nave/logs/backend.log')).stdout;
        assert.match(log, /docker: answers/);
        assert.match(log, /settings: readable/);
        assert.doesNotMatch(log, /writable/);
        assert.equal((await odd('/opt/nave/deploy/install.sh uninstall')).status, 0);
    });
});
