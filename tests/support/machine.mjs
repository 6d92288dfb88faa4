// Machine: a Debian 12 booted by systemd-nspawn, with its own init, network (loopback only) and
// file system, for tests of units, packages and installers. Its root comes from one that
// `machine-root` makes once and keeps in build/machine.
import { execFile, execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { until } from './server.mjs';

const kRoot = fileURLToPath(new URL('../..', import.meta.url));
const kRecipe = path.join(kRoot, 'tests/support/machine-root');
const kCache = path.join(kRoot, 'build/machine');
const kTools = ['systemd-nspawn', 'mmdebstrap', 'nsenter', 'unshare', 'setsid'];
const kPath = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

const succeeds = (command, ...args) => {
    try {
        execFileSync(command, args, { stdio: 'ignore' });
        return true;
    } catch {
        return false;
    }
};

/// Why no machine can be booted here, said on stderr too; undefined when it can. An absent tool is
/// an error where everything has to be there.
export function whyNoMachine() {
    let reason;
    const absent = kTools.filter((tool) => !succeeds('sh', '-c', `command -v ${tool}`));
    if (absent.length > 0) {
        reason = `no ${absent.join(', ')}; scripts/setup --deploy installs it`;
        if (process.env.NAVE_REQUIRE_SERVICES === '1') {
            throw new Error(reason);
        }
    } else if (process.getuid() !== 0) {
        reason = 'booting a machine takes root';
    } else if (!succeeds('unshare', '--mount', '--pid', '--net', '--fork', 'mount', '-t', 'tmpfs',
                         'none', '/mnt')) {
        reason = 'this host does not let us mount';
    }
    if (reason) {
        process.stderr.write(`SKIPPED, no machine: ${reason}\n`);
    }
    return reason;
}

const digest = (data) => createHash('sha256').update(data).digest('hex').slice(0, 12);

/// A private copy of the machine's root, not booted; for chroot. `packages` are there besides the
/// usual ones. `remove()` drops it.
export function machineRoot({ packages = [] } = {}) {
    const recipe = digest(fs.readFileSync(kRecipe));
    const suffix = packages.length > 0 ? `-${digest(packages.join(' '))}` : '';
    const kept = path.join(kCache, `root-${recipe}${suffix}`);
    fs.mkdirSync(kCache, { recursive: true, mode: 0o700 });
    for (const name of fs.readdirSync(kCache)) {
        const owner = /^(?:\.#)?run-(\d+)-/.exec(name); // .#...: nspawn's lock files
        const isLeft = owner && !fs.existsSync(`/proc/${owner[1]}`);
        if (isLeft || (name.startsWith('root-') && !name.startsWith(`root-${recipe}`))) {
            fs.rmSync(path.join(kCache, name), { recursive: true, force: true });
        }
    }
    if (!fs.existsSync(kept)) {
        execFileSync(kRecipe, [kept, ...packages], { stdio: ['ignore', 2, 2] });
    }
    const root = fs.mkdtempSync(path.join(kCache, `run-${process.pid}-`));
    execFileSync('cp', ['-a', '--reflink=auto', `${kept}/.`, root]);
    const remove = () => {
        for (const left of [root, path.join(kCache, `.#${path.basename(root)}.lck`)]) {
            fs.rmSync(left, { recursive: true, force: true });
        }
    };
    return { root, remove };
}

function runIn(leader, text, { user = 'root', deadlineMs = 120_000 } = {}) {
    const enter = ['--target', String(leader), '--all', '--root', '--',
                   'env', '-i', '--chdir=/', `PATH=${kPath}`, 'LANG=C.UTF-8', 'HOME=/root'];
    const shell = user === 'root'
        ? ['bash', '-c', text]
        : ['runuser', '-u', user, '--', 'bash', '-c',
           `export HOME=~${user} XDG_RUNTIME_DIR=/run/user/$(id -u); cd; ${text}`];
    return new Promise((resolve) => {
        // A session of its own: a signal to process group 0 inside would come back to us.
        execFile('setsid', ['--wait', 'nsenter', ...enter, ...shell],
                 { timeout: deadlineMs, maxBuffer: 16 << 20 },
                 (error, stdout, stderr) => resolve({
                     status: error ? (error.code ?? error.signal ?? -1) : 0, stdout, stderr,
                 }));
    });
}

/// Boots a machine, with further `packages`. `prepare(root)` may change its files before. The answer has
///   root                    its file system, seen from here
///   run(text, {user})       runs a shell text inside: {status, stdout, stderr}
///   succeed(text, {user})   the same, throws unless the status is 0; resolves to stdout
///   until(text, {user})     runs it again and again until its status is 0; resolves to stdout
///   stop()                  powers off and removes everything
export async function bootMachine({ prepare, packages } = {}) {
    const { root, remove } = machineRoot({ packages });
    let nspawn;
    let exited;
    let log = '';
    const stop = async () => {
        if (nspawn) {
            nspawn.kill('SIGTERM'); // which asks the machine's init to power off
            const hard = setTimeout(() => nspawn.kill('SIGKILL'), 60_000);
            await exited;
            clearTimeout(hard);
        }
        remove();
    };
    try {
        await prepare?.(root);
        nspawn = spawn('systemd-nspawn', [
            '--quiet', `--directory=${root}`, `--machine=nave-${process.pid}`, '--register=no',
            '--keep-unit', '--private-network', '--resolv-conf=off', '--timezone=off',
            '--link-journal=no', '--console=pipe', '--boot',
        ], { stdio: ['ignore', 'pipe', 'pipe'] });
        exited = new Promise((resolve) => nspawn.once('close', resolve));
        nspawn.stdout.on('data', (data) => { log += data; });
        nspawn.stderr.on('data', (data) => { log += data; });
        const leader = await until(() => {
            if (nspawn.exitCode !== null) {
                throw new Error(`nspawn ended with ${nspawn.exitCode}`);
            }
            const children = fs.readFileSync(
                `/proc/${nspawn.pid}/task/${nspawn.pid}/children`, 'utf8');
            return children.trim().split(' ').filter(Boolean).find(
                (pid) => fs.readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'systemd');
        }, { deadlineMs: 60_000, what: 'the machine has an init' });
        const run = (text, options) => runIn(leader, text, options);
        await until(async () => {
            const { stdout } = await run('systemctl is-system-running');
            return ['running', 'degraded'].includes(stdout.trim());
        }, { deadlineMs: 120_000, everyMs: 200, what: 'the machine is up' });
        const succeed = async (text, options) => {
            const result = await run(text, options);
            if (result.status !== 0) {
                throw new Error(`${text}: status ${result.status}\n${result.stdout}${result.stderr}`);
            }
            return result.stdout;
        };
        return {
            root,
            run,
            succeed,
            until: (text, { deadlineMs = 60_000, ...options } = {}) => until(
                async () => {
                    const stdout = await succeed(text, options);
                    return stdout || ' ';
                }, { deadlineMs, everyMs: 200, what: text }),
            stop,
        };
    } catch (error) {
        await stop();
        throw new Error(`the machine did not boot:\n${log.slice(-4000)}`, { cause: error });
    }
}
