// An operator's folder in a temporary place, as deploy/ expects it: `deploy` as shipped,
// `.env`, `data` and `secrets` (by deploy/make-secrets.sh). And docker-compose run in it.
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import YAML from 'yaml';
import { temporaryDirectory } from './server.mjs';

const run = promisify(execFile);
const kDeploy = fileURLToPath(new URL('../../deploy', import.meta.url));
const kComposeDeadlineMs = 240_000;

export const kComposeFiles = ['compose.yml', 'compose.postgres.yml', 'compose.projects.yml'];
export const kProjectTokens = ['nova_observer_token', 'orch_observer_token'];

export class OperatorFolder {
    static async make(settings = '') {
        const folder = new OperatorFolder();
        folder.path = temporaryDirectory('nave-operator');
        fs.cpSync(kDeploy, folder.at('deploy'), { recursive: true });
        fs.writeFileSync(folder.at('.env'), settings, { mode: 0o600 });
        fs.mkdirSync(folder.at('data'));
        await folder.makeSecrets();
        await folder.makeSecrets(...kProjectTokens);
        return folder;
    }

    at(...names) {
        return path.join(this.path, ...names);
    }

    async makeSecrets(...names) {
        return run(this.at('deploy/make-secrets.sh'), [this.at('secrets'), ...names]);
    }

    secret(name) {
        return fs.readFileSync(this.at('secrets', name), 'utf8');
    }

    // docker-compose on one of the files: { stdout, stderr }; throws with what it printed.
    async compose(file, args, { env = {}, project = 'nave' } = {}) {
        const all = ['--no-ansi', '--env-file', this.at('.env'), '-p', project];
        all.push('-f', this.at('deploy', file), ...args);
        try {
            return await run('/usr/bin/docker-compose', all, {
                cwd: this.at('deploy'),
                env: { PATH: process.env.PATH, HOME: this.path, ...env },
                timeout: kComposeDeadlineMs,
                maxBuffer: 64 << 20,
            });
        } catch (error) {
            const said = `${error.stdout}${error.stderr}`.trim().split('\n').slice(-40);
            const what = `docker-compose ${args.join(' ')}: ${error.code ?? error.signal}`;
            throw new Error([what, ...said].join('\n'));
        }
    }

    // The file as docker-compose understands it.
    async resolved(file, env = {}) {
        return YAML.parse((await this.compose(file, ['config'], { env })).stdout);
    }

    remove() {
        fs.rmSync(this.path, { recursive: true, force: true });
    }
}
