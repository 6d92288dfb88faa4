// The compose files run for real: Debian's docker-compose, a private dockerd with bridge and
// published ports in a network namespace of its own, the image built from deploy/Dockerfile.
// PostgreSQL, Redis and Caddy are stand-ins (support/stand_ins.mjs); all else is as shipped.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import { after, before, describe, test } from 'node:test';
import { Peer, inviteOf, peerKeys } from '../support/broker_peer.mjs';
import { Api, Device, exchange } from '../support/client.mjs';
import { Docker, skipWithoutDocker } from '../support/docker.mjs';
import { expectError, expectOutcome } from '../support/expect.mjs';
import { buildImage } from '../support/image.mjs';
import { OperatorFolder } from '../support/operator_folder.mjs';
import { enterOwnNetwork } from '../support/own_network.mjs';
import { until } from '../support/server.mjs';
import { buildStandIns } from '../support/stand_ins.mjs';

const kImageUser = 10001;
const kFetches = 12;
const kVersion = 'under-test';
const kHealthDeadlineMs = 120_000;

const skip = skipWithoutDocker();
if (!skip) {
    await enterOwnNetwork(async () => {
        const docker = await Docker.start();
        try {
            const image = await buildImage(docker);
            await docker.run(['tag', image, `ghcr.io/nave/nave:${kVersion}`]);
            await buildStandIns(docker);
        } finally {
            await docker.stop();
        }
    });
}

// One compose file in an operator's folder, up and healthy.
class Stack {
    static async up(docker, file, { settings = '', env = {} } = {}) {
        const stack = new Stack();
        stack.docker = docker;
        stack.file = file;
        stack.folder = await OperatorFolder.make(`NAVE_VERSION=${kVersion}\n${settings}`);
        fs.chownSync(stack.folder.at('data'), kImageUser, kImageUser);
        stack.env = { ...docker.env, ...env };
        await stack.compose('up', '-d');
        return stack;
    }

    async compose(...args) {
        return this.folder.compose(this.file, args, { env: this.env });
    }

    // Names differ between the generations of Compose; labels do not.
    async container(service) {
        const label = `label=com.docker.compose.service=${service}`;
        const { stdout } = await this.docker.run(['ps', '-a', '-q', '--filter', label]);
        return stdout.trim();
    }

    async inspect(service) {
        return this.docker.inspect(await this.container(service));
    }

    async healthy(service) {
        await until(
            async () => (await this.inspect(service)).State.Health.Status === 'healthy',
            { deadlineMs: kHealthDeadlineMs, everyMs: 300, what: `${service} is healthy` },
        );
    }

    // A command in the service's container: { code, stdout, stderr }.
    async execute(service, ...command) {
        const container = await this.container(service);
        return this.docker.run(['exec', container, ...command], { check: false });
    }

    async logs(service) {
        const { stdout, stderr } = await this.docker.run(['logs', await this.container(service)]);
        return stdout + stderr;
    }

    async finish() {
        await this.compose('down', '--volumes');
        this.folder.remove();
    }
}

// Every secret of the folder is where it belongs and nowhere that others look.
async function expectSecretsHidden(stack, services) {
    const names = fs.readdirSync(stack.folder.at('secrets'));
    const secrets = names.map((name) => stack.folder.secret(name));
    for (const service of services) {
        const text = JSON.stringify(await stack.inspect(service)) + (await stack.logs(service));
        for (const secret of secrets) {
            assert.ok(!text.includes(secret), `${service} shows a secret`);
        }
    }
}

describe('compose files, running', { skip }, () => {
    let docker;
    let standIns;
    let stack;
    before(async () => {
        docker = await Docker.start({ bridge: true });
        standIns = await buildStandIns(docker);
    });
    after(async () => {
        await docker?.stop();
    });

    describe('compose.yml', () => {
        const prekeys = () =>
            new Api('http://127.0.0.1:8081', { prefix: '/prekeys', audience: 'composed' });
        const device = new Device({ address: 'kept:1' });

        before(async () => {
            const settings = [
                'NAVE_IMAGE_OWNER=nave',
                'NAVE_LISTEN=127.0.0.1:1', // for a binary without a container
                'SHADE_AUDIENCE=composed',
                `SHADE_LIMIT_FETCH=${kFetches}/h\n`,
            ].join('\n');
            stack = await Stack.up(docker, 'compose.yml', { settings });
        });
        after(() => stack?.finish());

        test('comes up healthy and serves on loopback', async () => {
            await stack.healthy('backend');
            expectOutcome(await prekeys().register(device, { scheme: 'B', oneTime: 5 }), 201);
            const broker = await exchange('http://127.0.0.1:8081', 'GET', '/broker/health');
            assert.equal(broker.json.db, 'up');
        });

        test('runs with what the file says', async () => {
            const { Name, HostConfig, Config, State } = await stack.inspect('backend');
            assert.equal(Name, '/nave-backend');
            assert.equal(Config.User, `${kImageUser}:${kImageUser}`);
            assert.equal(HostConfig.ReadonlyRootfs, true);
            assert.deepEqual(HostConfig.CapDrop, ['ALL']);
            assert.deepEqual(HostConfig.SecurityOpt, ['no-new-privileges:true']);
            assert.equal(HostConfig.Memory, 1500 * 1024 * 1024);
            assert.equal(HostConfig.NanoCpus, 1.5e9);
            assert.equal(HostConfig.PidsLimit, 256);
            assert.equal(HostConfig.RestartPolicy.Name, 'unless-stopped');
            assert.deepEqual(HostConfig.LogConfig, {
                Type: 'json-file',
                Config: { 'max-size': '10m', 'max-file': '3' },
            });
            assert.deepEqual(HostConfig.PortBindings, {
                '8080/tcp': [{ HostIp: '127.0.0.1', HostPort: '8081' }],
            });
            assert.ok('/tmp' in HostConfig.Tmpfs);
            const status = fs.readFileSync(`/proc/${State.Pid}/status`, 'utf8');
            assert.match(status, /^Uid:\t10001\t/m);
            assert.match(status, /^CapBnd:\t0000000000000000$/m);
            assert.match(status, /^NoNewPrivs:\t1$/m);
            const root = fs
                .readFileSync(`/proc/${State.Pid}/mountinfo`, 'utf8')
                .split('\n')
                .find((line) => line.split(' ')[4] === '/');
            assert.match(root.split(' ')[5], /^ro(,|$)/);
        });

        test('the host says who a client is, because proxies are there', async () => {
            const from = (address) => ({ headers: { 'X-Forwarded-For': address } });
            const unknown = (address) => prekeys().bundle('nobody:1', from(address));
            let served = 0;
            while ((await unknown('203.0.113.7')).status === 404) {
                served += 1;
                assert.ok(served <= kFetches, 'no limit');
            }
            assert.equal(served, kFetches);
            expectError(await unknown('203.0.113.7'), 429, 'SHADE_RATE_LIMITED');
            assert.equal((await unknown('203.0.113.8')).status, 404);
        });

        test('data survive `down` and `up`', async () => {
            const first = await stack.container('backend');
            await stack.compose('stop');
            assert.equal((await stack.inspect('backend')).State.ExitCode, 0);
            await stack.compose('down');
            await stack.compose('up', '-d');
            await stack.healthy('backend');
            assert.notEqual(await stack.container('backend'), first);
            const count = expectOutcome(await prekeys().count(device), 200);
            assert.equal(count.oneTimePreKeyCount, 5);
        });

        test('a process that dies is started again', async () => {
            const { Pid } = (await stack.inspect('backend')).State;
            process.kill(Pid, 'SIGKILL');
            await until(
                async () => {
                    const { State } = await stack.inspect('backend');
                    return State.Running && State.Pid !== Pid && State.Pid !== 0;
                },
                { deadlineMs: 60_000, everyMs: 200, what: 'another process' },
            );
            await stack.healthy('backend');
            expectOutcome(await prekeys().count(device), 200);
        });
    });

    describe('compose.postgres.yml', () => {
        const kNodes = ['nave-1', 'nave-2'];
        const kSite = 'https://localhost:8443';
        let transport;
        const prekeys = () => new Api(kSite, { prefix: '/prekeys', transport });

        before(async () => {
            stack = await Stack.up(docker, 'compose.postgres.yml', {
                settings: `SHADE_LIMIT_FETCH=${kFetches}/h\n`,
                env: standIns,
            });
        });
        after(() => stack?.finish());

        // A new member of the mesh, by an invite of the command line and a request through Caddy.
        async function member(mesh, name) {
            const made = await stack.execute(
                ...['nave-1', 'nave', 'broker', 'invite', 'create', mesh.slug, '--json'],
            );
            const { token } = JSON.parse(made.stdout);
            const keys = peerKeys();
            const joined = await exchange(kSite, 'POST', '/broker/join', {
                transport,
                headers: { 'Content-Type': 'application/json' },
                body: Buffer.from(
                    JSON.stringify({
                        invite_token: token,
                        invite_payload: inviteOf(token),
                        peer_pubkey: keys.hex,
                        display_name: name,
                    }),
                ),
            });
            assert.equal(joined.status, 200, joined.text);
            return { id: joined.json.memberId, keys, name, mesh };
        }

        // The node that a peer's session is at, as its log says.
        async function nodeOf(peer) {
            return until(
                async () => {
                    for (const node of kNodes) {
                        if ((await stack.logs(node)).includes(peer.ack.presenceId)) {
                            return node;
                        }
                    }
                    return undefined;
                },
                { what: `a node knows ${peer.ack.presenceId}` },
            );
        }

        const connect = (who) => Peer.connect(`${kSite}/broker`, who, { transport });

        test('everything comes up, in order, and Caddy ends TLS', async () => {
            for (const service of ['postgres', 'redis', ...kNodes, 'proxy']) {
                await stack.healthy(service);
            }
            const { State } = await stack.inspect('migrate');
            assert.deepEqual([State.Status, State.ExitCode], ['exited', 0]);
            for (const node of kNodes) {
                assert.ok((await stack.inspect(node)).State.StartedAt > State.FinishedAt, node);
            }
            const root = '/data/caddy/pki/authorities/local/root.crt';
            const ca = await until(
                async () => {
                    const { code, stdout } = await stack.execute('proxy', 'cat', root);
                    return code === 0 && stdout;
                },
                { what: "Caddy's authority" },
            );
            transport = { ca, family: 4 };
            await until(
                async () => (await exchange(kSite, 'GET', '/ready', { transport })).status === 200,
                { what: 'the site is served' },
            );
            const plain = await exchange('http://127.0.0.1:8080', 'GET', '/ready', {
                headers: { Host: 'localhost' },
            });
            assert.equal(plain.status, 308);
        });

        test('secrets come by file and show nowhere', async () => {
            await expectSecretsHidden(stack, ['postgres', 'redis', 'migrate', ...kNodes, 'proxy']);
        });

        test('only the nodes use the stores', async () => {
            const ports = { postgres: '5432', redis: '6379' };
            const targets = [];
            for (const [store, port] of Object.entries(ports)) {
                const { NetworkSettings } = await stack.inspect(store);
                const [{ IPAddress }] = Object.values(NetworkSettings.Networks);
                targets.push([store, port], [IPAddress, port]);
            }
            // Names that are not known take seconds, so all at once.
            const reach = targets.map(async ([host, port]) => {
                const knock = ['nc', '-z', '-w', '2', host, port];
                const fromProxy = await stack.execute('proxy', ...knock);
                assert.notEqual(fromProxy.code, 0, `the proxy reaches ${host}`);
                const fromStore = await stack.execute('redis', ...knock);
                assert.equal(fromStore.code, 0, `nobody reaches ${host}`);
            });
            await Promise.all(reach);
            const stranger = await stack.execute('redis', 'redis-cli', 'publish', 'nave:x', 'y');
            assert.match(stranger.stdout + stranger.stderr, /NOAUTH/);
            const psql = ['psql', '-h', 'postgres', '-U', 'nave', '-w', '-c', 'select 1', 'nave'];
            const guess = await stack.execute('redis', ...psql);
            assert.notEqual(guess.code, 0);
            assert.match(guess.stderr, /password/);
        });

        test('a peer at one node writes to a peer at the other, through the proxy', async () => {
            const create = ['nave', 'broker', 'mesh', 'create', 'demo', '--json'];
            const made = await stack.execute('nave-1', ...create);
            const mesh = JSON.parse(made.stdout);
            const ada = await connect(await member(mesh, 'ada'));
            const at = await nodeOf(ada);
            // The proxy gives a connection to the node that has fewer.
            const someone = await member(mesh, 'bob');
            let bob = await connect(someone);
            const others = [];
            while ((await nodeOf(bob)) === at) {
                others.push(bob);
                assert.ok(others.length < 8, 'all connections go to one node');
                bob = await connect(someone);
            }
            await Promise.all(others.map((peer) => peer.close()));
            const ack = await ada.envelope(bob.key, 'across');
            assert.equal(ack.type, 'ack');
            assert.equal((await bob.push('across')).senderMemberPubkey, ada.member.keys.hex);

            // Bob's node goes. He comes back where Ada is, and nothing of hers is lost.
            const device = new Device({ address: 'shared:1' });
            expectOutcome(await prekeys().register(device, { oneTime: 3 }), 201);
            await stack.compose('stop', await nodeOf(bob));
            await bob.closed;
            assert.equal((await ada.envelope(bob.key, 'while away')).type, 'ack');
            const again = await until(() => connect(someone), { what: 'bob is back' });
            assert.equal(await nodeOf(again), at);
            await again.push('while away');
            const { oneTimePreKeyCount } = expectOutcome(await prekeys().count(device), 200);
            assert.equal(oneTimePreKeyCount, 3);
            const { State } = await stack.inspect(kNodes.find((node) => node !== at));
            assert.equal(State.ExitCode, 0);

            await stack.compose('start', kNodes.find((node) => node !== at));
            for (const node of kNodes) {
                await stack.healthy(node);
            }
            await Promise.all([ada.close(), again.close()]);
        });

        test('a client cannot say who it is', async () => {
            // Each node has limits of its own.
            let served = 0;
            let answer;
            do {
                answer = await prekeys().bundle('nobody:1', {
                    headers: { 'X-Forwarded-For': `198.51.100.${served + 1}` },
                });
                served += answer.status === 404 ? 1 : 0;
            } while (answer.status === 404 && served <= 2 * kFetches);
            assert.equal(answer.status, 429, `after ${served}`);
        });
    });

    describe('compose.projects.yml', () => {
        const kPorts = { nova: 3900, orch: 3901 };
        const project = (name, audience = name) =>
            new Api(`http://127.0.0.1:${kPorts[name]}`, { audience });

        before(async () => {
            stack = await Stack.up(docker, 'compose.projects.yml');
        });
        after(() => stack?.finish());

        test('both come up healthy, each at its port', async () => {
            for (const name of ['nova', 'orch']) {
                await stack.healthy(`${name}-nave`);
                assert.equal((await stack.inspect(`${name}-nave`)).Name, `/${name}-nave`);
                const health = await project(name).request('GET', '/health');
                assert.equal(expectOutcome(health, 200).status, 'ok');
            }
            await expectSecretsHidden(stack, ['nova-nave', 'orch-nave']);
        });

        test('addresses, signatures and tokens of one are nothing to the other', async () => {
            const one = new Device({ address: 'same:1' });
            const other = new Device({ address: 'same:1' });
            expectOutcome(await project('nova').register(one, { scheme: 'B' }), 201);
            expectOutcome(await project('orch').register(other, { scheme: 'B' }), 201);
            const wrong = await project('orch', 'nova').count(other);
            expectError(wrong, 401, 'SHADE_BAD_REQUEST_SIGNATURE');
            for (const name of ['nova', 'orch']) {
                const state = (token) =>
                    project(name).request('GET', '/shade-observer/api/state', {
                        headers: { Authorization: `Bearer ${stack.folder.secret(token)}` },
                    });
                const foreign = name === 'nova' ? 'orch' : 'nova';
                expectOutcome(await state(`${name}_observer_token`), 200);
                expectError(await state(`${foreign}_observer_token`), 401, 'SHADE_UNAUTHORIZED');
            }
        });

        test('they do not reach each other', async () => {
            const ask = (from, host) =>
                stack.execute(
                    ...[`${from}-nave`, 'nave', 'healthcheck'],
                    ...['--url', `http://${host}:3900/healthz`],
                );
            const { NetworkSettings } = await stack.inspect('orch-nave');
            const [{ IPAddress }] = Object.values(NetworkSettings.Networks);
            assert.ok(net.isIPv4(IPAddress));
            const hosts = ['nova-nave', 'orch-nave', IPAddress];
            const answers = await Promise.all(hosts.map((host) => ask('nova', host)));
            assert.deepEqual(
                answers.map(({ code }) => code === 0),
                [true, false, false],
            );
            assert.equal((await ask('orch', IPAddress)).code, 0, 'it answers where it is');
        });

        test('one is stopped, the other serves on', async () => {
            await stack.compose('stop', 'nova-nave');
            await assert.rejects(project('nova').request('GET', '/health'));
            expectOutcome(await project('orch').request('GET', '/health'), 200);
        });
    });
});
