// Container: one run of an image in the tests' Docker (support/docker.mjs), hardened as operators are
// told to run it, and what is seen of it from outside. Host network, because that Docker has no bridge:
// NAVE_LISTEN keeps it on loopback.
//
//     const container = await Container.start(docker, 'nave:test', { env, volume: 'data' });
//     container.url                       // http://127.0.0.1:PORT
//     faultsOf(await container.facts())   // [] when every restriction holds
//     await container.stop();             // its exit code
//
// `harden` replaces single restrictions (see kHardening), so that a test can show that its check fails
// without them. `network: 'none'` leaves address and settings as the image has them.
import fs from 'node:fs';
import { until } from './server.mjs';
import { freePort } from './tls_proxy.mjs';

export const kUser = 10001;
const kMemory = 256 << 20;
const kGraceSeconds = 30;

export const kHardening = {
    root: ['--read-only', '--tmpfs', '/tmp'],
    capabilities: ['--cap-drop', 'ALL'],
    privileges: ['--security-opt', 'no-new-privileges'],
    seccomp: [],
    memory: ['--memory', String(kMemory)],
    processes: ['--pids-limit', '200'],
    user: [],
};

export class Container {
    static async start(docker, image, options = {}) {
        const container = new Container(docker, image, options);
        await container.launch();
        return container;
    }

    constructor(docker, image, options) {
        Object.assign(this, { docker, image, options });
    }

    async launch() {
        const { command = [], env = {}, volume, files = {}, harden = {} } = this.options;
        const { network = 'host', health = [], ready = true } = this.options;
        const settings = { ...env };
        if (network === 'host') {
            this.port ??= await freePort();
            settings.NAVE_LISTEN ??= `127.0.0.1:${this.port}`;
            this.url = `http://127.0.0.1:${this.port}`;
        }
        const { stdout } = await this.docker.run([
            ...['run', '--detach', '--network', network],
            ...Object.values({ ...kHardening, ...harden }).flat(),
            ...Object.entries(settings).flatMap(([name, value]) => ['--env', `${name}=${value}`]),
            ...(volume ? ['--volume', `${volume}:/data`] : []),
            ...Object.entries(files).flatMap(([at, file]) => ['--volume', `${file}:${at}:ro`]),
            ...health,
            this.image,
            ...command,
        ]);
        this.id = stdout.trim();
        if (ready && network === 'host') {
            const settled = async () =>
                (await this.answersReady()) || !(await this.state()).Running;
            await until(settled, { deadlineMs: 90_000, everyMs: 50, what: 'the container serves' });
            if (!(await this.state()).Running) {
                throw new Error(`the container ended:\n${await this.logs()}`);
            }
        }
    }

    async answersReady() {
        const response = await fetch(`${this.url}/ready`).catch(() => undefined);
        await response?.arrayBuffer();
        return response?.status === 200;
    }

    async state() {
        return (await this.docker.inspect(this.id)).State;
    }

    // Resolves when Docker's own health checks have come to `status`.
    async health(status, deadlineMs = 90_000) {
        await until(async () => (await this.state()).Health?.Status === status, {
            deadlineMs,
            everyMs: 200,
            what: `health is ${status}`,
        });
    }

    // What the kernel says about the process and its limits.
    async facts() {
        const { Pid: pid } = await this.state();
        const read = (name) => fs.readFileSync(`/proc/${pid}/${name}`, 'utf8');
        const status = Object.fromEntries(
            read('status')
                .split('\n')
                .map((line) => line.split(/:\s*/, 2)),
        );
        const mounts = read('mountinfo')
            .trim()
            .split('\n')
            .map((line) => line.split(' '))
            .map((fields) => ({ at: fields[4], options: fields[5].split(',') }));
        return { status, mounts, memory: limitOf(pid, 'memory'), processes: limitOf(pid, 'pids') };
    }

    exec(...args) {
        return this.docker.run(['exec', this.id, ...args], { check: false });
    }

    async logs() {
        const { stdout, stderr } = await this.docker.run(['logs', this.id]);
        return stdout + stderr;
    }

    // As an orchestrator stops it: SIGTERM, SIGKILL only after the grace period. Returns the exit code.
    async stop() {
        await this.docker.run(['stop', '--time', String(kGraceSeconds), this.id]);
        return (await this.state()).ExitCode;
    }

    async exited() {
        await until(async () => !(await this.state()).Running, {
            deadlineMs: 60_000,
            everyMs: 200,
            what: 'the container ends',
        });
        return (await this.state()).ExitCode;
    }

    // The container and its anonymous volume; a named volume stays.
    async remove() {
        await this.docker.run(['rm', '--force', '--volumes', this.id]);
    }
}

// The limit a control group of either version sets; undefined without one.
function limitOf(pid, controller) {
    const files = { memory: ['memory.limit_in_bytes', 'memory.max'], pids: ['pids.max', 'pids.max'] };
    const [first, second] = files[controller];
    for (const line of fs.readFileSync(`/proc/${pid}/cgroup`, 'utf8').trim().split('\n')) {
        const [, controllers, group] = line.split(':');
        const candidates = controllers.split(',').includes(controller)
            ? [`/sys/fs/cgroup/${controllers}${group}/${first}`]
            : controllers === '' || controllers.startsWith('name=')
              ? [`/sys/fs/cgroup${group}/${second}`, `/sys/fs/cgroup/unified${group}/${second}`]
              : [];
        const file = candidates.find((candidate) => fs.existsSync(candidate));
        if (file) {
            const value = Number(fs.readFileSync(file, 'utf8'));
            return Number.isFinite(value) && value < 2 ** 60 ? value : undefined;
        }
    }
    return undefined;
}

// Which restriction of kHardening does not hold, by its name there.
export function faultsOf({ status, mounts, memory, processes }) {
    const faults = [];
    const expect = (name, holds) => holds || faults.push(name);
    const ids = (name) => status[name].split('\t').map(Number);
    expect('user', [...ids('Uid'), ...ids('Gid')].every((id) => id === kUser));
    expect('root', mounts.filter(({ at }) => at === '/').at(-1)?.options.includes('ro'));
    expect('capabilities', /^0+$/.test(status.CapBnd));
    expect('privileges', status.NoNewPrivs === '1');
    expect('seccomp', status.Seccomp === '2');
    expect('memory', memory === kMemory);
    expect('processes', processes === 200);
    return faults;
}
