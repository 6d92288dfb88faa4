// OperatorHome: a scratch home folder with stand-ins for systemctl, loginctl and docker first on the
// PATH, to run deploy/install.sh in as an operator would. The server it starts is the real binary.
import { execFile } from 'node:child_process';
import crypto from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { binary, cleanEnvironment, temporaryDirectory } from './server.mjs';

const kRoot = fileURLToPath(new URL('../..', import.meta.url));
export const deployFolder = path.join(kRoot, 'deploy');

export async function freePort() {
    const server = net.createServer().listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const { port } = server.address();
    await new Promise((resolve) => server.close(resolve));
    return port;
}

// Every file below `folder` with its mode and a hash of its content, links by their target.
export function tree(folder, ignore = () => false) {
    const found = {};
    for (const entry of fs.readdirSync(folder, { recursive: true }).sort()) {
        const file = path.join(folder, entry);
        const stat = fs.lstatSync(file);
        if (ignore(entry)) {
            continue;
        }
        const mode = (stat.mode & 0o7777).toString(8);
        if (stat.isSymbolicLink()) {
            found[entry] = `link ${fs.readlinkSync(file)}`;
        } else if (stat.isFile()) {
            const hash = crypto.createHash('sha256').update(fs.readFileSync(file)).digest('hex');
            found[entry] = `${mode} ${hash}`;
        } else {
            found[entry] = `${mode} folder`;
        }
    }
    return found;
}

export class OperatorHome {
    constructor({ name = 'home' } = {}) {
        this.scratch = temporaryDirectory('nave-operator');
        this.home = path.join(this.scratch, name);
        this.state = path.join(this.scratch, 'state');
        this.bin = path.join(this.scratch, 'bin');
        for (const folder of [this.home, this.state, this.bin]) {
            fs.mkdirSync(folder);
        }
        fs.symlinkSync(path.join(kRoot, 'tests/support/fake_systemd.mjs'), this.path('bin/systemctl'));
        this.script('loginctl', 'exit "${FAKE_LOGINCTL_STATUS:-0}"');
    }

    path(...parts) {
        return path.join(this.scratch, ...parts);
    }

    at(...parts) {
        return path.join(this.home, ...parts);
    }

    // A stand-in that writes its call down before it does what `body` says.
    script(name, body) {
        const record = `printf '%s\\n' "${name} $*" >>"$FAKE_SYSTEMD_DIR/calls"`;
        fs.writeFileSync(this.path('bin', name), `#!/usr/bin/env bash\n${record}\n${body}\n`, {
            mode: 0o755,
        });
    }

    calls() {
        const file = this.path('state/calls');
        return fs.existsSync(file) ? fs.readFileSync(file, 'utf8').trim().split('\n') : [];
    }

    // ~/nave/.env with a free port of its own.
    async settings(lines = []) {
        this.port ??= await freePort();
        fs.mkdirSync(this.at('nave'), { recursive: true });
        const all = [`NAVE_LISTEN=127.0.0.1:${this.port}`, ...lines, ''];
        fs.writeFileSync(this.at('nave/.env'), all.join('\n'), { mode: 0o600 });
    }

    get url() {
        return `http://127.0.0.1:${this.port}`;
    }

    // No test may reach the home of whoever runs it, whatever else `extra` brings along.
    environment(extra = {}) {
        const env = cleanEnvironment({
            HOME: this.home,
            PATH: `${this.bin}:${process.env.PATH}`,
            FAKE_SYSTEMD_DIR: this.state,
            ALLOW_ROOT: '1',
            XDG_RUNTIME_DIR: this.state,
            ...extra,
        });
        if (!env.HOME.startsWith(`${this.scratch}/`) || !env.PATH.startsWith(`${this.bin}:`)) {
            throw new Error(`outside of the scratch folder: HOME=${env.HOME} PATH=${env.PATH}`);
        }
        return env;
    }

    // { code, stdout, stderr, text } of one run of deploy/install.sh, or of another command.
    run(args, { env = {}, command = path.join(deployFolder, 'install.sh'), cwd, input } = {}) {
        return new Promise((resolve) => {
            const child = execFile(
                command,
                args,
                { env: this.environment(env), cwd: cwd ?? this.scratch, timeout: 150_000 },
                (error, stdout, stderr) => {
                    const code = error ? (error.code ?? error.signal ?? -1) : 0;
                    resolve({ code, stdout, stderr, text: stdout + stderr });
                },
            );
            child.stdin.on('error', () => {});
            child.stdin.end(input ?? '');
        });
    }

    install(args = [], options = {}) {
        return this.run(['install', '--mode', 'binary', '--binary', binary(), ...args], options);
    }

    async dispose() {
        const units = ['nave-server.service', 'nave-backend.service', 'nave-cloudflared.service'];
        await this.run(['--user', 'stop', ...units], { command: this.path('bin/systemctl') });
        fs.rmSync(this.scratch, { recursive: true, force: true });
    }
}
