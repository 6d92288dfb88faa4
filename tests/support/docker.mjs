// Docker: a container engine of the tests' own. dockerd with its own data root, socket and state, no
// bridge and no packet filter rules, so nothing on the machine changes; containers get `--network host`
// or `--network none`. Images and the build cache stay in build/docker (NAVE_TEST_DOCKER names another
// directory), so that a second run is quick. One test file at a time uses it; a second one waits.
//
//     const docker = await Docker.start();      // or throws
//     await docker.run(['run', ...]);           // { code, stdout, stderr }; throws when code is not 0
//     docker.env                                // DOCKER_HOST and so on, for docker-compose
//     await docker.stop();                      // containers, daemon and mounts are gone
//
// Images are made by support/image.mjs. `dockerDenied()` says which right this machine does not grant:
// tests skip aloud with it (skipWithoutDocker); an absent tool fails them when NAVE_REQUIRE_SERVICES=1.
import { execFile, execFileSync, spawn, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { until } from './server.mjs';

const kRoot = fileURLToPath(new URL('../..', import.meta.url));
const kDaemon = '/usr/sbin/dockerd';
const kClient = '/usr/bin/docker'; // Debian's: it has the builder that RUN --mount needs
const kTools = [kDaemon, kClient, '/usr/bin/mmdebstrap', '/usr/bin/docker-compose'];
const kLockDeadlineMs = 900_000;

export const stateDirectory = () =>
    path.resolve(kRoot, process.env.NAVE_TEST_DOCKER ?? 'build/docker');

export function dockerMissing() {
    const missing = kTools.filter((tool) => !fs.existsSync(tool));
    return missing.length ? `${missing.join(', ')} not installed` : undefined;
}

// Which right is absent, or undefined. Tried, not guessed: a daemon needs root, mounts and overlays.
export function dockerDenied() {
    if (process.getuid() !== 0) {
        return 'a private dockerd needs root';
    }
    const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'nave-rights-'));
    try {
        const script = `set -e
            mount -t tmpfs none "$1"; mkdir "$1/l" "$1/u" "$1/w" "$1/m"
            mount -t overlay -o lowerdir="$1/l",upperdir="$1/u",workdir="$1/w" none "$1/m"
            test -d /sys/fs/cgroup`;
        const tried = spawnSync(
            'unshare',
            ['--mount', '--pid', '--net', '--uts', '--ipc', '--fork', 'sh', '-c', script, 'sh', scratch],
            { encoding: 'utf8' },
        );
        if (tried.status !== 0) {
            const why = (tried.stderr || String(tried.error ?? '')).trim().split('\n')[0];
            return `this machine grants no namespaces or mounts: ${why}`;
        }
    } finally {
        fs.rmSync(scratch, { recursive: true, force: true });
    }
    return undefined;
}

// The reason to skip a file's tests, said on stderr too; undefined when they can run. Throws when a
// tool is absent that must be there.
export function skipWithoutDocker() {
    const missing = dockerMissing();
    if (missing && process.env.NAVE_REQUIRE_SERVICES === '1') {
        throw new Error(`${missing}: run scripts/setup --deploy`);
    }
    const reason = missing ?? dockerDenied();
    if (reason) {
        process.stderr.write(`SKIPPED ${path.basename(process.argv[1])}: ${reason}\n`);
    }
    return reason;
}

const alive = (pid) => fs.existsSync(`/proc/${pid}`);
const commandOf = (pid) => {
    try {
        return fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
    } catch {
        return '';
    }
};

function mountsBelow(directory) {
    return fs
        .readFileSync('/proc/self/mountinfo', 'utf8')
        .split('\n')
        .map((line) => line.split(' ')[4])
        .filter((point) => point?.startsWith(`${directory}/`))
        .reverse();
}

export class Docker {
    // `bridge` for a process that has a network of its own (support/own_network.mjs): containers get
    // networks and published ports.
    static async start({ bridge = false } = {}) {
        const docker = new Docker(bridge);
        await docker.lock();
        try {
            await docker.launch();
        } catch (error) {
            await docker.stop();
            throw error;
        }
        return docker;
    }

    constructor(bridge) {
        this.bridge = bridge;
        this.state = stateDirectory();
        fs.mkdirSync(this.state, { recursive: true });
        this.lockFile = path.join(this.state, 'lock');
        this.logFile = path.join(this.state, 'dockerd.log');
        // Socket paths are short of room (108 bytes), so these lie in the system's directory.
        this.runDirectory = fs.mkdtempSync(path.join(os.tmpdir(), 'nave-docker-'));
        this.env = {
            ...process.env,
            DOCKER_HOST: `unix://${this.runDirectory}/sock`,
            DOCKER_BUILDKIT: '1',
            DOCKER_CONFIG: path.join(this.runDirectory, 'client'),
            COMPOSE_DOCKER_CLI_BUILD: '1',
        };
        this.stopAtExit = () => this.child?.kill('SIGTERM');
    }

    // Two daemons on one data root would destroy it. The file names the process that uses it and the
    // daemon that it left behind if it was killed.
    async lock() {
        const claim = () => {
            try {
                fs.writeFileSync(this.lockFile, `${process.pid}\n`, { flag: 'wx' });
                return true;
            } catch (error) {
                if (error.code !== 'EEXIST') {
                    throw error;
                }
            }
            const holder = Number.parseInt(fs.readFileSync(this.lockFile, 'utf8'), 10);
            if (!alive(holder)) {
                fs.rmSync(this.lockFile, { force: true });
            }
            return false;
        };
        await until(claim, { deadlineMs: kLockDeadlineMs, everyMs: 200, what: this.lockFile });
        this.locked = true;
        await this.endLeftover();
    }

    async endLeftover() {
        const note = path.join(this.state, 'daemon');
        if (!fs.existsSync(note)) {
            return;
        }
        const { pid, runDirectory } = JSON.parse(fs.readFileSync(note, 'utf8'));
        if (commandOf(pid).includes(`${runDirectory}/daemon.json`)) {
            process.kill(pid, 'SIGTERM');
            await until(() => !alive(pid), { deadlineMs: 60_000, what: 'the old dockerd ends' });
        }
        this.clear(runDirectory);
        fs.rmSync(note);
    }

    async launch() {
        // Networks that a killed run left: the daemon would make them again wherever it is started.
        fs.rmSync(path.join(this.state, 'data/network'), { recursive: true, force: true });
        const config = path.join(this.runDirectory, 'daemon.json');
        fs.writeFileSync(
            config,
            JSON.stringify({
                'data-root': path.join(this.state, 'data'),
                'exec-root': path.join(this.runDirectory, 'exec'),
                pidfile: path.join(this.runDirectory, 'pid'),
                hosts: [`unix://${this.runDirectory}/sock`],
                ...(this.bridge ? {} : { iptables: false, ip6tables: false, bridge: 'none' }),
            }),
        );
        const log = fs.openSync(this.logFile, 'w');
        this.child = spawn(kDaemon, ['--config-file', config], { stdio: ['ignore', log, log] });
        fs.closeSync(log);
        process.once('exit', this.stopAtExit);
        fs.writeFileSync(
            path.join(this.state, 'daemon'),
            JSON.stringify({ pid: this.child.pid, runDirectory: this.runDirectory }),
        );
        await until(
            async () => {
                if (this.child.exitCode !== null) {
                    return true;
                }
                return (await this.run(['version'], { check: false })).code === 0;
            },
            { deadlineMs: 60_000, everyMs: 100, what: 'dockerd answers' },
        );
        if (this.child.exitCode !== null) {
            const tail = fs.readFileSync(this.logFile, 'utf8').trim().split('\n').slice(-5);
            throw new Error(`dockerd ended at once:\n${tail.join('\n')}`);
        }
        await this.removeContainers();
    }

    // What a killed run left: containers, networks and volumes. Images and the build cache stay.
    async removeContainers() {
        const { stdout } = await this.run(['ps', '--all', '--quiet']);
        const containers = stdout.split('\n').filter(Boolean);
        if (containers.length) {
            await this.run(['rm', '--force', '--volumes', ...containers]);
        }
        await this.run(['network', 'prune', '--force']);
        const volumes = (await this.run(['volume', 'ls', '--quiet'])).stdout.split('\n');
        for (const volume of volumes.filter(Boolean)) {
            await this.run(['volume', 'rm', '--force', volume]);
        }
    }

    // One command of the docker client, or of `program` with the same environment. `log` names a file
    // for all it prints.
    run(args, { check = true, deadlineMs = 120_000, env = {}, cwd, program = kClient, log } = {}) {
        const options = {
            env: { ...this.env, ...env },
            cwd: cwd ?? kRoot,
            timeout: deadlineMs,
            maxBuffer: 256 << 20,
        };
        return new Promise((resolve, reject) => {
            execFile(program, args, options, (error, stdout, stderr) => {
                if (log) {
                    fs.writeFileSync(log, stderr + stdout);
                }
                const code = error ? (error.code ?? error.signal ?? -1) : 0;
                if (check && code !== 0) {
                    const tail = `${stdout}${stderr}`.trim().split('\n').slice(-40).join('\n');
                    reject(new Error(`${path.basename(program)} ${args.join(' ')}: ${code}\n${tail}`));
                    return;
                }
                resolve({ code, stdout, stderr });
            });
        });
    }

    async inspect(name) {
        return JSON.parse((await this.run(['inspect', name])).stdout)[0];
    }

    async stop() {
        if (this.child && this.child.exitCode === null && this.child.signalCode === null) {
            await this.removeContainers().catch(() => {});
            this.child.kill('SIGTERM');
            await until(() => this.child.exitCode !== null || this.child.signalCode !== null, {
                deadlineMs: 60_000,
                what: 'dockerd ends',
            });
        }
        process.removeListener('exit', this.stopAtExit);
        this.clear(this.runDirectory);
        fs.rmSync(path.join(this.state, 'daemon'), { force: true });
        if (this.locked) {
            fs.rmSync(this.lockFile, { force: true });
            this.locked = false;
        }
    }

    clear(runDirectory) {
        for (const point of [...mountsBelow(runDirectory), ...mountsBelow(this.state)]) {
            try {
                execFileSync('umount', ['--lazy', point], { stdio: 'ignore' });
            } catch {
                // Gone with the mount above it.
            }
        }
        fs.rmSync(runDirectory, { recursive: true, force: true });
    }
}
