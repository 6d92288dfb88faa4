// A peer under measurement: a child process whose processor time and memory are read from /proc.
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';

const kTicksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));

// Processes of one session leader: peers such as nginx and PostgreSQL work in children.
function familyOf(pid) {
    const parents = new Map();
    for (const name of fs.readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
        try {
            const stat = fs.readFileSync(`/proc/${name}/stat`, 'utf8');
            parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
        } catch {
            // It ended meanwhile.
        }
    }
    const family = [pid];
    for (let i = 0; i < family.length; i += 1) {
        parents.forEach((parent, child) => parent === family[i] && family.push(child));
    }
    return family;
}

// User and system seconds of a process and its children so far.
export function cpuSeconds(pid) {
    let ticks = 0;
    for (const member of familyOf(pid)) {
        try {
            const stat = fs.readFileSync(`/proc/${member}/stat`, 'utf8');
            const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
            ticks += Number(fields[11]) + Number(fields[12]);
        } catch {
            // It ended meanwhile.
        }
    }
    return ticks / kTicksPerSecond;
}

// Resident megabytes (10^6 bytes).
export function residentMegabytes(pid) {
    const kibibytes = /VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8'))[1];
    return (Number(kibibytes) * 1024) / 1e6;
}

export const freePort = () =>
    new Promise((resolve, reject) => {
        const server = net.createServer();
        server.on('error', reject);
        server.listen(0, '127.0.0.1', () => {
            const { port } = server.address();
            server.close(() => resolve(port));
        });
    });

// A peer must not outlive a measurement that failed.
const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));

// Whether something answers there; of a tcp:// address, whether it takes connections.
function answers(url) {
    const { protocol, hostname, port } = new URL(url);
    if (protocol !== 'tcp:') {
        return fetch(url).then(
            (answer) => answer.arrayBuffer().then(() => true),
            () => false,
        );
    }
    return new Promise((resolve) => {
        const socket = net.connect(Number(port), hostname);
        socket.on('connect', () => {
            socket.destroy();
            resolve(true);
        });
        socket.on('error', () => resolve(false));
    });
}

// Starts a peer that listens on `url` and waits until it answers there.
export async function startPeer(command, args, url, options = {}) {
    const child = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit'], ...options });
    running.add(child);
    const exited = new Promise((resolve) => child.on('exit', resolve));
    exited.then(() => running.delete(child));
    child.on('error', (error) => console.error(`${command}: ${error.message}`));
    const end = Date.now() + 20_000;
    for (;;) {
        if (await answers(url)) {
            break;
        }
        if (child.exitCode !== null || Date.now() > end) {
            child.kill('SIGKILL');
            throw new Error(`${command} did not start`);
        }
        await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return {
        pid: child.pid,
        stop: async () => {
            child.kill('SIGTERM');
            await exited;
        },
    };
}
