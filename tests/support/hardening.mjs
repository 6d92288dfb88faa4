// What every service of a compose file must have, on the file as docker-compose resolves it: the
// problems found, each "service: what". Exceptions are named here and nowhere else.
import path from 'node:path';

const kOurImage = /^ghcr\.io\/[a-z0-9-]+\/nave:[\w.-]+$/;
const kPinned = /^[a-z0-9./-]+(:[\w.-]+)?@sha256:[0-9a-f]{64}$/;
const kSecretName = /TOKEN|PASSWORD|SECRET|_KEY|DATABASE_URL|REDIS_URL|PG_URL/;
const kCapabilities = { proxy: ['NET_BIND_SERVICE'] }; // a file capability of the image's caddy
const kRootInside = ['proxy']; // the volumes of Caddy's image are root's
const kOneOff = ['migrate'];
const kGraceSecondsMin = 12; // NAVE_SHUTDOWN_SECONDS is 10

const seconds = (text) => (/^\d+s$/.test(text ?? '') ? Number.parseInt(text, 10) : 0);

function volumeProblem(volume, folder) {
    const [source] = typeof volume === 'string' ? volume.split(':') : [volume.source ?? ''];
    if (/docker\.sock|containerd/.test(source)) {
        return 'a socket of the container engine';
    }
    const isBind = source.startsWith('/') || source.startsWith('.');
    if (isBind && !path.resolve(source).startsWith(`${folder}${path.sep}`)) {
        return `${source} of the host`;
    }
    return undefined;
}

function serviceProblems(name, service, folder) {
    const problems = [];
    const expect = (holds, what) => holds || problems.push(`${name}: ${what}`);
    expect(kOurImage.test(service.image) || kPinned.test(service.image), `image ${service.image}`);
    expect(!service.build, 'is built on the spot');
    expect(service.read_only === true, 'root is writable');
    expect((service.tmpfs ?? []).some((at) => /^\/tmp(:|$)/.test(at)), 'no tmpfs at /tmp');
    expect(String(service.cap_drop) === 'ALL', 'capabilities');
    expect(
        (service.cap_add ?? []).every((added) => kCapabilities[name]?.includes(added)),
        `capabilities ${service.cap_add}`,
    );
    expect((service.security_opt ?? []).includes('no-new-privileges:true'), 'new privileges');
    expect((service.security_opt ?? []).length === 1, 'security options');
    for (const key of ['privileged', 'network_mode', 'pid', 'ipc', 'userns_mode', 'devices']) {
        expect(service[key] === undefined, key);
    }
    expect(service.cgroup_parent === undefined && !service.sysctls, 'kernel settings');
    expect(
        kRootInside.includes(name) || /^(10001:10001|postgres|redis)$/.test(service.user ?? ''),
        `user ${service.user}`,
    );
    for (const port of service.ports ?? []) {
        const text = typeof port === 'string' ? port : `${port.host_ip ?? ''}:${port.published}:`;
        expect(/^127\.0\.0\.1:\d+:/.test(text), `port ${text} is open to the network`);
    }
    for (const volume of service.volumes ?? []) {
        const problem = volumeProblem(volume, folder);
        expect(!problem, `volume: ${problem}`);
    }
    const limits = service.deploy?.resources?.limits ?? {};
    expect(Number(limits.cpus) > 0 && Number(limits.cpus) <= 1.5, `cpus ${limits.cpus}`);
    expect(/^\d+m$/.test(limits.memory ?? ''), `memory ${limits.memory}`);
    expect(Number.parseInt(limits.memory, 10) <= 1500, `memory ${limits.memory}`);
    expect(service.pids_limit > 0, 'processes');
    const { driver, options = {} } = service.logging ?? {};
    expect(driver === 'json-file', `log driver ${driver}`);
    expect(options['max-size'] === '10m' && options['max-file'] === '3', 'log rotation');
    expect(service.restart === (kOneOff.includes(name) ? 'no' : 'unless-stopped'), 'restart');
    const isOurs = kOurImage.test(service.image);
    expect(isOurs || service.healthcheck?.test, 'no health check');
    expect(
        !isOurs || kOneOff.includes(name) || !service.healthcheck,
        "the image's health check is replaced",
    );
    expect(!isOurs || seconds(service.stop_grace_period) >= kGraceSecondsMin, 'grace period');
    for (const [setting, value] of Object.entries(service.environment ?? {})) {
        const isSecret = kSecretName.test(setting) && !setting.endsWith('_FILE');
        expect(!isSecret || !value, `${setting} is not in a file`);
        expect(!/:\/\/[^/]*:[^/]*@/.test(String(value)), `${setting} holds a password`);
    }
    return problems;
}

// `folder` is the operator's: nothing else of the host may be seen.
export function hardeningProblems(config, folder) {
    const problems = Object.entries(config.services).flatMap(([name, service]) =>
        serviceProblems(name, service, folder),
    );
    for (const [name, secret] of Object.entries(config.secrets ?? {})) {
        if (path.dirname(secret.file ?? '') !== path.join(folder, 'secrets')) {
            problems.push(`secret ${name}: ${secret.file}`);
        }
    }
    return problems;
}
