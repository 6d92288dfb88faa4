// The compose files as docker-compose reads them, without running anything: hardening of every
// service, the shape of the seeds, and the subset that both generations of Compose understand. What
// the files do when they run: compose_running.test.mjs.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, describe, test } from 'node:test';
import YAML from 'yaml';
import { hardeningProblems } from '../support/hardening.mjs';
import { kComposeFiles, OperatorFolder } from '../support/operator_folder.mjs';

const kTool = '/usr/bin/docker-compose';
const missing = fs.existsSync(kTool) ? false : `${kTool} is not installed`;
if (missing && process.env.NAVE_REQUIRE_SERVICES === '1') {
    throw new Error(missing);
}
if (missing) {
    console.error(`*** SKIPPED: ${missing}`);
}

const shipped = (file) =>
    fs.readFileSync(new URL(`../../deploy/${file}`, import.meta.url), 'utf8');

// Each takes one protection away from a service.
const kWeakenings = {
    'a writable root': (service) => delete service.read_only,
    'no tmpfs': (service) => delete service.tmpfs,
    capabilities: (service) => delete service.cap_drop,
    'one capability': (service) => (service.cap_add = ['SYS_ADMIN']),
    'new privileges': (service) => delete service.security_opt,
    'no seccomp': (service) => service.security_opt.push('seccomp:unconfined'),
    privileged: (service) => (service.privileged = true),
    "the host's network": (service) => (service.network_mode = 'host'),
    "the engine's socket": (service) =>
        (service.volumes = ['/var/run/docker.sock:/var/run/docker.sock']),
    'a folder of the host': (service) => (service.volumes = ['/etc:/host:ro']),
    'a port for everybody': (service) => (service.ports = ['8081:8080/tcp']),
    'a port for the network': (service) => (service.ports = ['0.0.0.0:8081:8080']),
    'no limits': (service) => delete service.deploy,
    'no limit of memory': (service) => delete service.deploy.resources.limits.memory,
    'any number of processes': (service) => delete service.pids_limit,
    'logs that grow': (service) => delete service.logging.options,
    'another log driver': (service) => (service.logging.driver = 'none'),
    'an image by tag': (service) => (service.image = 'docker.io/somebody/nave:latest'),
    root: (service, name) => name !== 'proxy' && (service.user = '0:0'),
    'a secret in the environment': (service) => {
        service.environment = { SHADE_OBSERVER_TOKEN: 'a-token-for-everybody-to-see' };
    },
    'a password in an address': (service) => {
        service.environment = { SOMETHING: 'postgres://nave:password@db/nave' };
    },
};

describe('compose files', { skip: missing }, () => {
    let folder;
    before(async () => {
        folder = await OperatorFolder.make('NAVE_VERSION=1.2.3\nNAVE_IMAGE_OWNER=somebody\n');
    });
    after(() => folder?.remove());

    for (const file of kComposeFiles) {
        test(`${file}: every service is hardened`, async () => {
            const config = await folder.resolved(file);
            assert.deepEqual(hardeningProblems(config, folder.path), []);
        });

        test(`${file}: each protection that is taken away is noticed`, async () => {
            const config = await folder.resolved(file);
            for (const name of Object.keys(config.services)) {
                for (const [what, weaken] of Object.entries(kWeakenings)) {
                    const weak = structuredClone(config);
                    if (weaken(weak.services[name], name) === false) {
                        continue;
                    }
                    const problems = hardeningProblems(weak, folder.path);
                    assert.ok(problems.length > 0, `${name} with ${what}`);
                    assert.ok(problems.every((problem) => problem.startsWith(`${name}: `)), what);
                }
            }
        });

        test(`${file}: in the subset that docker-compose 1.29 and Compose 2 share`, () => {
            const content = YAML.parse(shipped(file), { merge: true });
            const known = /^(services|networks|volumes|secrets|x-[a-z-]+)$/;
            for (const key of Object.keys(content)) {
                assert.match(key, known);
            }
            for (const [name, service] of Object.entries(content.services)) {
                assert.equal(typeof (service.env_file ?? ''), 'string', `${name}: env_file`);
                for (const key of ['profiles', 'develop', 'extends', 'configs', 'mem_limit']) {
                    assert.equal(service[key], undefined, `${name}: ${key}`);
                }
                const started = Object.values(service.depends_on ?? {});
                assert.ok(started.every(({ condition }) => condition), `${name}: depends_on`);
            }
            // Of substitutions both know ${NAME} and ${NAME:-default}, not nested.
            for (const [expression] of shipped(file).matchAll(/\$\{[^}]*\}/g)) {
                assert.match(expression, /^\$\{[A-Z_]+(:-[^${}]*)?\}$/);
            }
        });

        test(`${file}: owner and version of the image come from .env`, async () => {
            const { services } = await folder.resolved(file);
            const ours = Object.values(services).filter(({ image }) => /\/nave:/.test(image));
            assert.ok(ours.length > 0);
            ours.forEach(({ image }) => assert.equal(image, 'ghcr.io/somebody/nave:1.2.3'));
        });
    }

    test('compose.yml has the shape that was agreed', async () => {
        const { services, networks } = await folder.resolved('compose.yml');
        assert.deepEqual(Object.keys(services), ['backend']);
        const { backend } = services;
        assert.equal(backend.container_name, 'nave-backend');
        assert.equal(backend.restart, 'unless-stopped');
        assert.deepEqual(
            backend.ports.map((port) => String(port).replace('/tcp', '')),
            ['127.0.0.1:8081:8080'],
        );
        assert.match(shipped('compose.yml'), /^ {4}env_file: \.\.\/\.env$/m);
        assert.deepEqual(
            backend.volumes.map((volume) => volume.replace(/:rw$/, '')),
            [`${folder.at('data')}:/data`],
        );
        assert.equal(Number(backend.deploy.resources.limits.cpus), 1.5);
        assert.equal(backend.deploy.resources.limits.memory, '1500m');
        // The host's address in the network, and nobody else's, may say who a client is.
        const [{ subnet }] = networks.default.ipam.config;
        assert.equal(backend.environment.SHADE_TRUSTED_PROXIES, subnet.replace('.0/24', '.1'));
    });

    test('the network can be moved as a whole', async () => {
        for (const file of ['compose.yml', 'compose.postgres.yml']) {
            const { services, networks } = await folder.resolved(file, { NAVE_NETWORK: '10.9.8' });
            assert.equal(networks.default.ipam.config[0].subnet, '10.9.8.0/24');
            const text = JSON.stringify(services);
            assert.match(text, /"SHADE_TRUSTED_PROXIES":"10\.9\.8\.1/);
            assert.doesNotMatch(text, /172\.30/, file);
        }
    });

    test('compose.postgres.yml: the start waits for health, stores see nodes only', async () => {
        const { services, networks } = await folder.resolved('compose.postgres.yml');
        const waits = (name) =>
            Object.fromEntries(
                Object.entries(services[name].depends_on).map(([on, how]) => [on, how.condition]),
            );
        assert.deepEqual(waits('migrate'), { postgres: 'service_healthy' });
        for (const node of ['nave-1', 'nave-2']) {
            assert.deepEqual(waits(node), {
                migrate: 'service_completed_successfully',
                redis: 'service_healthy',
            });
            assert.equal(services[node].environment.NAVE_MIGRATE, 'manual');
        }
        assert.deepEqual(waits('proxy'), {
            'nave-1': 'service_healthy',
            'nave-2': 'service_healthy',
        });
        assert.equal(networks.stores.internal, true);
        for (const store of ['postgres', 'redis']) {
            assert.deepEqual(Object.keys(services[store].networks), ['stores']);
            assert.equal(services[store].ports, undefined);
        }
        assert.ok(!('stores' in services.proxy.networks));
        const used = new Set(Object.values(services).flatMap(({ secrets }) => secrets ?? []));
        assert.ok(used.size > 0);
        const ofStores = services.postgres.secrets.concat(services.redis.secrets);
        assert.deepEqual(
            ofStores.map(({ source }) => source),
            ['postgres_password', 'redis_users'],
        );
    });

    test('compose.projects.yml: nothing is shared between projects', async () => {
        const { services } = await folder.resolved('compose.projects.yml');
        const projects = Object.entries(services);
        assert.ok(projects.length >= 2);
        const once = (what, of) => {
            const all = projects.flatMap(([, service]) => of(service));
            assert.equal(new Set(all).size, all.length, `${what}: ${all}`);
            assert.equal(all.length, projects.length, what);
        };
        once('container', (service) => [service.container_name]);
        once('port', (service) => service.ports.map((port) => /:(\d+):3900/.exec(port)[1]));
        once('volume', (service) => service.volumes.map((volume) => volume.split(':')[0]));
        once('network', (service) => Object.keys(service.networks));
        once('secret', (service) => service.secrets.map(({ source }) => source));
        once('audience', (service) => [service.environment.SHADE_AUDIENCE]);
    });

    test('secrets are made once, for the containers to read and for nobody else', async () => {
        const names = fs.readdirSync(folder.at('secrets')).sort();
        const before = names.map((name) => folder.secret(name));
        const { stdout } = await folder.makeSecrets();
        assert.equal(stdout, '');
        assert.deepEqual(names.map((name) => folder.secret(name)), before);
        assert.equal(fs.statSync(folder.at('secrets')).mode & 0o777, 0o700);
        for (const name of names) {
            assert.equal(fs.statSync(folder.at('secrets', name)).mode & 0o777, 0o444, name);
        }
        assert.equal(new Set(before).size, before.length, 'no two are the same');
        assert.ok(folder.secret('database_url').includes(folder.secret('postgres_password')));
        for (const file of kComposeFiles) {
            const { secrets = {} } = await folder.resolved(file);
            for (const secret of Object.values(secrets)) {
                assert.ok(fs.existsSync(secret.file), secret.file);
            }
        }
    });

    test('half a pair of secrets is not replaced by what does not fit', async () => {
        const kept = folder.secret('database_url');
        fs.rmSync(folder.at('secrets/database_url'));
        await assert.rejects(folder.makeSecrets(), /database_url is gone/);
        fs.writeFileSync(folder.at('secrets/database_url'), kept, { mode: 0o444 });
        await folder.makeSecrets();
        await assert.rejects(folder.makeSecrets('../escape'), /lower-case/);
    });
});
