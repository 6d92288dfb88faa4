// The container image, built from deploy/Dockerfile and run: what it consists of, how it lives under
// the restrictions operators are told to set, and what clients get from it. Both targets. Each check of
// a restriction is also run where the restriction is absent, and must fail there.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { BrokerAdmin, Peer } from '../support/broker_peer.mjs';
import { Api, Device, EventStream } from '../support/client.mjs';
import { Container, faultsOf, kHardening, kUser } from '../support/container.mjs';
import { Docker, skipWithoutDocker } from '../support/docker.mjs';
import { expectOutcome } from '../support/expect.mjs';
import { buildImage, kBase } from '../support/image.mjs';
import {
    confidingIn,
    filesOf,
    readImage,
    setuidIn,
    unwantedIn,
} from '../support/image_contents.mjs';
import { temporaryDirectory, until } from '../support/server.mjs';

const kRoot = fileURLToPath(new URL('../..', import.meta.url));
const kAdminToken = 'token-of-the-broker-administrator';
const kObserverToken = 'token-of-somebody-who-may-observe';
const kExitConfig = 12;
const kExitStorage = 14;
const kMegabyte = 1_000_000;
const kTargets = {
    runtime: { compressedMax: 40 * kMegabyte },
    minimal: { compressedMax: 15 * kMegabyte },
};
// Docker's own checks, often enough for a test.
const kOftenChecked = ['--health-interval', '1s', '--health-start-period', '0s'];

const skip = skipWithoutDocker();
const git = (...args) => execFileSync('git', args, { cwd: kRoot, encoding: 'utf8' }).trim();
const version = () =>
    /^project\(nave VERSION ([\d.]+)/m.exec(
        fs.readFileSync(path.join(kRoot, 'CMakeLists.txt'), 'utf8'),
    )[1];

let docker;
const containers = [];

async function run(image, options = {}) {
    const container = new Container(docker, image, options);
    containers.push(container);
    await container.launch();
    return container;
}

// A small image on top of another, from lines of a Dockerfile.
async function derive(tag, lines) {
    const directory = temporaryDirectory('nave-derived');
    fs.writeFileSync(path.join(directory, 'Dockerfile'), lines.join('\n'));
    await docker.run(['build', '--network', 'none', '--tag', tag, directory]);
    fs.rmSync(directory, { recursive: true });
    return tag;
}

// A request from inside the container's network, which has nothing but loopback.
async function statusInside(container, port, target) {
    const { Pid: pid } = await container.state();
    const format = ['--output', '/dev/null', '--write-out', '%{http_code}'];
    const url = `http://127.0.0.1:${port}${target}`;
    return execFileSync(
        'nsenter',
        ['--net', '--target', String(pid), 'curl', '--silent', '--max-time', '30', ...format, url],
        { encoding: 'utf8' },
    );
}

// A file of the host, for the container's user alone.
function secretFile(text, uid = kUser) {
    const file = path.join(temporaryDirectory('nave-secret'), 'secret');
    fs.writeFileSync(file, `${text}\n`, { mode: 0o400 });
    fs.chownSync(file, uid, uid);
    return file;
}

if (skip) {
    test('the container image', { skip }, () => {});
} else {
    before(async () => {
        docker = await Docker.start();
    });
    after(async () => {
        await docker?.stop();
    });
    for (const target of Object.keys(kTargets)) {
        describe(`image: ${target}`, () => suite(target, kTargets[target]));
    }
}

function suite(target, { compressedMax }) {
    const minimal = target === 'minimal';
    let image;
    let contents;
    const confiding = [];

    before(async () => {
        image = await buildImage(docker, { target });
        contents = await readImage(docker, image, (layer) => confiding.push(...confidingIn(layer)));
    });
    after(async () => {
        await Promise.all(containers.splice(0).map((container) => container.remove()));
    });

    test('is small', (t) => {
        t.diagnostic(`${target}: docker save | gzip -6 is ${contents.compressed} bytes`);
        assert.ok(contents.compressed <= compressedMax, `${contents.compressed} bytes`);
    });

    test('says how it is to be run', () => {
        const { config } = contents.config;
        assert.equal(config.User, `${kUser}:${kUser}`);
        assert.deepEqual(config.Entrypoint, ['/usr/local/bin/nave']);
        assert.deepEqual(config.Cmd, ['serve']);
        assert.deepEqual(Object.keys(config.ExposedPorts), ['8080/tcp']);
        assert.deepEqual(Object.keys(config.Volumes), ['/data']);
        assert.equal(config.StopSignal, 'SIGTERM');
        assert.deepEqual(config.Healthcheck.Test.slice(0, 3), [
            'CMD',
            '/usr/local/bin/nave',
            'healthcheck',
        ]);
        assert.ok(config.Env.includes('NAVE_DATA_DIR=/data'));
        assert.equal(config.Labels['org.opencontainers.image.version'], version());
        assert.equal(
            config.Labels['org.opencontainers.image.revision'],
            git('rev-parse', '--short', 'HEAD'),
        );
    });

    test('holds nothing that only a build needs, and no secret', async () => {
        assert.deepEqual(unwantedIn(contents.layers, { minimal }), []);
        assert.deepEqual(setuidIn(contents.layers), []);
        assert.deepEqual(confiding, []);
        const { stdout } = await docker.run([
            ...['history', '--no-trunc', '--format', '{{.CreatedBy}}', image],
        ]);
        assert.doesNotMatch(stdout, /(token|password|secret|credential)s?=/i);
        const environment = contents.config.config.Env.map((entry) => entry.split('=')[0]);
        assert.deepEqual(environment.sort(), ['GIT_SHA', 'NAVE_DATA_DIR', 'PATH']);
    });

    test('those checks find what is planted, deleted again or not', async () => {
        const planted = {
            compiler: '/usr/bin/clang-19',
            'build tool': '/usr/local/bin/npm',
            header: '/usr/include/stdio.h',
            'package cache': '/var/cache/apt/archives/clang.deb',
            'package list': '/var/lib/apt/lists/deb_main_Packages.lz4',
            'source code': '/srv/main.cc',
            secret: '/srv/.env',
            'extra authority': '/usr/local/share/ca-certificates/house.crt',
            'left-over data': '/root/notes',
            ...(minimal ? { shell: '/bin/sh', 'package manager': '/usr/bin/dpkg' } : {}),
        };
        const files = Object.values(planted);
        const script = [
            `for file in ${files.join(' ')}; do mkdir -p root$(dirname $file); echo x >root$file; done`,
            'mkdir -p root/etc; echo "-----BEGIN PRIVATE KEY-----" >root/etc/server.pem',
            'cp /bin/true root/usr/bin/raise; chmod 4755 root/usr/bin/raise',
        ].join('; ');
        const tag = await derive('nave:planted', [
            `FROM ${kBase} AS work`,
            'WORKDIR /work',
            `RUN ${script}`,
            `FROM ${image}`,
            'COPY --from=work /work/root/ /',
            ...(minimal ? [] : ['USER 0', `RUN rm ${files.join(' ')}`]),
        ]);
        const found = [];
        const { layers } = await readImage(docker, tag, (layer) => {
            found.push(...confidingIn(layer));
        });
        const unwanted = unwantedIn(layers, { minimal });
        for (const [kind, file] of Object.entries(planted)) {
            assert.ok(
                unwanted.some((entry) => entry.kind === kind && file.endsWith(entry.path.slice(4))),
                `${kind} ${file} in ${JSON.stringify(unwanted)}`,
            );
        }
        assert.deepEqual(found, ['/etc/server.pem']);
        assert.deepEqual(setuidIn(layers), ['/usr/bin/raise']);
    });

    test('its directory for data is the user\'s alone', () => {
        const data = filesOf(contents.layers).find((entry) => entry.path === '/data');
        assert.equal(data.uid, kUser);
        assert.equal(data.gid, kUser);
        assert.equal(data.mode, 'rwx------');
    });

    if (minimal) {
        test('is the binary, its libraries, their licences, authorities and three files', () => {
            const known = [
                /^\/usr\/local\/bin\/nave$/,
                /^\/usr\/lib(64)?\/([\w-]+\/)?(ld-linux[\w.-]+|lib[\w+.-]+)\.so[.\d]*$/,
                /^\/usr\/share\/doc\/[\w+.-]+\/copyright$/,
                /^\/etc\/ssl\/certs\/ca-certificates\.crt$/,
                /^\/usr\/lib\/ssl\/(certs|cert\.pem)$/,
                /^\/etc\/(passwd|group|nsswitch\.conf)$/,
                /^\/lib(64)?$/,
            ];
            const others = filesOf(contents.layers)
                .filter(({ type }) => type !== 'd')
                .filter(({ path: file }) => !known.some((pattern) => pattern.test(file)));
            assert.deepEqual(others, []);
        });
    }

    test('every restriction of the run command holds, and the check sees each that is absent', async () => {
        const container = await run(image);
        assert.deepEqual(faultsOf(await container.facts()), []);
        const absent = {
            root: [],
            capabilities: [],
            privileges: [],
            seccomp: ['--security-opt', 'seccomp=unconfined'],
            memory: [],
            processes: [],
            user: ['--user', '0:0', '--tmpfs', '/data'],
        };
        assert.deepEqual(Object.keys(absent).sort(), Object.keys(kHardening).sort());
        for (const [name, flags] of Object.entries(absent)) {
            const loose = await run(image, { harden: { [name]: flags } });
            assert.deepEqual(faultsOf(await loose.facts()), [name]);
            await loose.remove();
            containers.splice(containers.indexOf(loose), 1);
        }
    });

    test('serves every service, shows its commit, and Docker finds it healthy', async () => {
        const container = await run(image, {
            env: { BROKER_ADMIN_TOKEN: kAdminToken },
            health: kOftenChecked,
        });
        await container.health('healthy');
        const commit = git('rev-parse', '--short', 'HEAD');
        const health = await (await fetch(`${container.url}/health`)).json();
        assert.equal(health.status, 'ok');
        assert.equal(health.version, version());
        const broker = await (await fetch(`${container.url}/broker/health`)).json();
        assert.equal(broker.gitSha, commit);
        const { stdout } = await container.exec('/usr/local/bin/nave', 'version');
        assert.equal(stdout.trim(), `nave ${version()} (${commit})`);
        assert.equal((await fetch(`${container.url}/`)).status, 200);

        const api = new Api(container.url, { prefix: '/prekeys' });
        const device = new Device({ suite: 'pqxdh-ed25519' });
        expectOutcome(await api.register(device), 201);
        const bundle = expectOutcome(await api.bundle(device.address), 200);
        assert.equal(bundle.address, device.address);
        assert.equal((await fetch(`${container.url}/prekeys/docs`)).status, 200);

        const admin = new BrokerAdmin(`${container.url}/broker`, kAdminToken);
        const mesh = await admin.createMesh();
        const [ada, bob] = await Promise.all(
            ['ada', 'bob'].map(async (name) =>
                Peer.connect(`${container.url}/broker`, await admin.member(mesh, name)),
            ),
        );
        assert.equal((await ada.envelope(bob.key, 'through the container')).type, 'ack');
        await bob.push('through the container');
        await Promise.all([ada.close(), bob.close()]);
    });

    for (const [service, port] of [
        [undefined, 8080],
        ['prekeys', 3900],
        ['broker', 7900],
    ]) {
        const command = service ? ['serve', service] : [];
        test(`without settings: ${service ?? 'everything'} on port ${port}, healthy`, async () => {
            const container = await run(image, { command, network: 'none', health: kOftenChecked });
            await container.health('healthy');
            assert.equal(await statusInside(container, port, '/health'), '200');
            const others = [8080, 3900, 7900].filter((other) => other !== port);
            for (const other of others) {
                await assert.rejects(statusInside(container, other, '/health'));
            }
            assert.equal(await container.stop(), 0);
        });
    }

    test('Docker notices a server that hangs, and that it is back', async () => {
        const container = await run(image, {
            network: 'none',
            health: [...kOftenChecked, '--health-timeout', '2s', '--health-retries', '1'],
        });
        await container.health('healthy');
        const { Pid: pid } = await container.state();
        process.kill(pid, 'SIGSTOP');
        await container.health('unhealthy');
        process.kill(pid, 'SIGCONT');
        await container.health('healthy');
    });

    test('data survives the container', async () => {
        const volume = `nave-kept-${target}`;
        const options = { volume, env: { BROKER_ADMIN_TOKEN: kAdminToken } };
        const first = await run(image, options);
        const device = new Device({ suite: 'x3dh-ed25519' });
        const apiOf = ({ url }) => new Api(url, { prefix: '/prekeys' });
        expectOutcome(await apiOf(first).register(device), 201);
        const oneTimePreKeys = device.newOneTimePreKeys(7);
        expectOutcome(await apiOf(first).replenish(device, { oneTimePreKeys }), 200);
        const admin = new BrokerAdmin(`${first.url}/broker`, kAdminToken);
        const member = await admin.member(await admin.createMesh(), 'ada');
        assert.equal(await first.stop(), 0);
        await first.remove();

        const second = await run(image, options);
        const count = expectOutcome(await apiOf(second).count(device), 200);
        assert.equal(count.oneTimePreKeyCount, 7);
        const peer = await Peer.connect(`${second.url}/broker`, member);
        await peer.close();
    });

    test('SIGTERM ends it with 0 while clients are connected', async () => {
        const container = await run(image, {
            env: { BROKER_ADMIN_TOKEN: kAdminToken, SHADE_OBSERVER_TOKEN: kObserverToken },
        });
        const admin = new BrokerAdmin(`${container.url}/broker`, kAdminToken);
        const member = await admin.member(await admin.createMesh(), 'ada');
        const peer = await Peer.connect(`${container.url}/broker`, member);
        const stream = await EventStream.open(
            container.url,
            '/prekeys/shade-observer/api/events',
            { headers: { Authorization: `Bearer ${kObserverToken}` } },
        );
        assert.equal(stream.status, 200);
        const idle = net.connect(container.port, '127.0.0.1');
        idle.on('error', () => {});
        await new Promise((resolve) => idle.once('connect', resolve));
        assert.equal(await container.stop(), 0);
        await Promise.all([peer.closed, stream.ended()]);
        idle.destroy();
        assert.match(await container.logs(), /"msg":"shutdown complete","drained":true/);
    });

    test('a wrong setting ends it with one clear line', async () => {
        const container = await run(image, { env: { NAVE_LOG_LEVEL: 'loud' }, ready: false });
        assert.equal(await container.exited(), kExitConfig);
        const lines = (await container.logs()).trim().split('\n');
        assert.equal(lines.length, 1, lines.join('\n'));
        assert.match(lines[0], /^nave: NAVE_LOG_LEVEL \(environment\): must be one of/);
    });

    test('a folder for data that belongs to somebody else ends it with a clear line', async () => {
        const folder = temporaryDirectory('nave-foreign');
        const container = await run(image, { volume: folder, ready: false });
        assert.equal(await container.exited(), kExitStorage);
        assert.match(await container.logs(), /\/data/);
        fs.rmSync(folder, { recursive: true });
    });

    test('a secret comes from a mounted file and stays out of environment and log', async () => {
        const at = '/run/secrets/observer_token';
        const file = secretFile(kObserverToken);
        const container = await run(image, {
            files: { [at]: file },
            env: { SHADE_OBSERVER_TOKEN_FILE: at, NAVE_LOG_LEVEL: 'debug' },
        });
        const ask = (token) =>
            fetch(`${container.url}/prekeys/shade-observer/api/state`, {
                headers: { Authorization: `Bearer ${token}` },
            });
        assert.equal((await ask(kObserverToken)).status, 200);
        assert.equal((await ask('another-token-of-that-length')).status, 401);
        const seen = JSON.stringify(await docker.inspect(container.id)) + (await container.logs());
        assert.ok(!seen.includes(kObserverToken));
        fs.rmSync(path.dirname(file), { recursive: true });
    });

    test('a secret it may not read ends it with one clear line', async () => {
        const at = '/run/secrets/observer_token';
        const file = secretFile(kObserverToken, 0);
        const container = await run(image, {
            files: { [at]: file },
            env: { SHADE_OBSERVER_TOKEN_FILE: at },
            ready: false,
        });
        assert.equal(await container.exited(), kExitConfig);
        const lines = (await container.logs()).trim().split('\n');
        assert.equal(lines.length, 1, lines.join('\n'));
        assert.match(lines[0], /^nave: SHADE_OBSERVER_TOKEN_FILE.*\/run\/secrets\/observer_token/);
        fs.rmSync(path.dirname(file), { recursive: true });
    });

    test('commands run in it', async () => {
        const once = (...args) =>
            docker.run(['run', '--rm', '--network', 'none', '--read-only', image, ...args], {
                check: false,
            });
        assert.equal((await once('config', 'check')).code, 0);
        assert.equal((await once('serve', 'nothing')).code, 2);
        const unreachable = await once('healthcheck', '--any');
        assert.equal(unreachable.code, 1);
        assert.match(unreachable.stderr, /^nave: .*cannot be reached/);
    });
}
