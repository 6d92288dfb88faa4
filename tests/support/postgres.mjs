// A private PostgreSQL cluster for tests, through scripts/private-postgres. NAVE_TEST_PG_URL names a
// running server instead (its databases are created and dropped all the same).
import { execFile, execFileSync } from 'node:child_process';
import fs from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { temporaryDirectory } from './server.mjs';

const run = promisify(execFile);
const kScript = fileURLToPath(new URL('../../scripts/private-postgres', import.meta.url));

// The private cluster trusts everybody on loopback; the password is there to be kept out of logs.
export const kDatabasePassword = 'database-password-for-nobody-to-see';

export function postgresMissing() {
    if (process.env.NAVE_TEST_PG_URL || fs.existsSync(kScript)) {
        return undefined;
    }
    return 'scripts/private-postgres is not there';
}

export class Postgres {
    static async start() {
        const postgres = new Postgres();
        await postgres.up();
        return postgres;
    }

    constructor() {
        this.external = process.env.NAVE_TEST_PG_URL;
        this.directory = this.external ? undefined : temporaryDirectory('nave-pg');
        this.databases = 0;
        // A test file that dies half-way must not leave a cluster running.
        this.stopAtExit = () =>
            execFileSync(kScript, ['stop', this.directory], { stdio: 'ignore' });
    }

    // Starts the cluster (again).
    async up() {
        if (this.external) {
            this.url = this.external;
            return;
        }
        const { stdout } = await run(kScript, ['start', this.directory], { timeout: 120_000 });
        this.url = /postgres(?:ql)?:\/\/\S+/.exec(stdout)?.[0];
        process.once('exit', this.stopAtExit);
        if (!this.url) {
            throw new Error(`private-postgres printed no URL: ${stdout}`);
        }
    }

    async down() {
        if (!this.external) {
            process.removeListener('exit', this.stopAtExit);
            await run(kScript, ['stop', this.directory], { timeout: 120_000 });
        }
    }

    // Ends as a crash does: it recovers when it starts again.
    async crash() {
        process.removeListener('exit', this.stopAtExit);
        await run(kScript, ['crash', this.directory], { timeout: 120_000 });
    }

    // The URL of another database of this cluster.
    urlOf(database) {
        const parts = /^(postgres(?:ql)?:\/\/[^/?]*)(?:\/[^?]*)?(\?.*)?$/.exec(this.url);
        return `${parts[1]}/${database}${parts[2] ?? ''}`;
    }

    // A new, empty database; returns its URL.
    async createDatabase() {
        this.databases += 1;
        const name = `nave_${process.pid}_${this.databases}`;
        await this.sql(`CREATE DATABASE ${name}`);
        return this.urlOf(name).replace(/\/\/(\w+)@/, `//$1:${kDatabasePassword}@`);
    }

    // Runs SQL; rows come back as arrays of text.
    async sql(text, url = this.url) {
        const { stdout } = await run('psql', [
            ...['--no-psqlrc', '--quiet', '--no-align', '--tuples-only'],
            ...['--field-separator', '\t', '--set', 'ON_ERROR_STOP=1', '--command', text, url],
        ]);
        return stdout
            .split('\n')
            .filter(Boolean)
            .map((line) => line.split('\t'));
    }

    async finish() {
        if (this.external) {
            return;
        }
        await this.down().catch(() => undefined);
        fs.rmSync(this.directory, { recursive: true, force: true });
    }
}
