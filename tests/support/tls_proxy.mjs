// The proxies of deploy/proxy as Debian's programs run them: the shipped files with nothing changed
// but addresses, ports and the certificate, over TLS on loopback with an authority made here.
import { execFile, spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { promisify } from 'node:util';
import { fileURLToPath } from 'node:url';
import { temporaryDirectory, until } from './server.mjs';

const run = promisify(execFile);
const kFolder = fileURLToPath(new URL('../../deploy/proxy', import.meta.url));

export function freePort() {
    return new Promise((resolve, reject) => {
        const server = net.createServer();
        server.once('error', reject);
        server.listen(0, '127.0.0.1', () => {
            const { port } = server.address();
            server.close(() => resolve(port));
        });
    });
}

// An authority, and its certificate for localhost: { authority (PEM), certificate, key (paths) }.
export async function makeCertificate(directory) {
    const at = (name) => path.join(directory, name);
    const openssl = (...args) => run('openssl', args);
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
    await openssl(
        ...['req', '-x509', ...key, '-keyout', at('ca.key'), '-out', at('ca.pem'), '-days', '2'],
        ...['-subj', '/CN=authority of a test'],
    );
    await openssl(
        ...['req', ...key, '-keyout', at('site.key'), '-out', at('site.csr')],
        ...['-subj', '/CN=localhost'],
    );
    fs.writeFileSync(at('site.ext'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n');
    await openssl(
        ...['x509', '-req', '-in', at('site.csr'), '-CA', at('ca.pem'), '-CAkey', at('ca.key')],
        ...['-CAcreateserial', '-days', '2', '-extfile', at('site.ext'), '-out', at('site.pem')],
    );
    return {
        authority: fs.readFileSync(at('ca.pem'), 'utf8'),
        certificate: at('site.pem'),
        key: at('site.key'),
    };
}

// Replaces every occurrence; what is not there would mean that the file has changed.
function substitute(text, pairs) {
    return pairs.reduce((result, [from, to]) => {
        if (!result.includes(from)) {
            throw new Error(`the shipped file has no "${from}"`);
        }
        return result.replaceAll(from, to);
    }, text);
}

function nginxCommand({ directory, httpPort, port, upstream, certificate }) {
    const site = substitute(fs.readFileSync(path.join(kFolder, 'nginx.conf'), 'utf8'), [
        ['    listen [::]:80;\n', ''],
        ['    listen [::]:443 ssl http2;\n', ''],
        ['listen 80;', `listen 127.0.0.1:${httpPort};`],
        ['listen 443 ', `listen 127.0.0.1:${port} `],
        ['/etc/letsencrypt/live/nave.example.org/fullchain.pem', certificate.certificate],
        ['/etc/letsencrypt/live/nave.example.org/privkey.pem', certificate.key],
        ['nave.example.org', 'localhost'],
        ['server 127.0.0.1:8081;', `server ${upstream};`],
    ]);
    fs.writeFileSync(path.join(directory, 'site.conf'), site);
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
        .map((name) => `    ${name}_temp_path ${directory}/${name};\n`)
        .join('');
    // Debian's own main file, as far as it matters; workers of root would not get into the folder.
    const main = `${process.getuid() === 0 ? 'user root;\n' : ''}daemon off;
worker_processes 1;
pid ${directory}/nginx.pid;
error_log stderr warn;
events { worker_connections 512; }
http {
    access_log off;
${temporary}    include ${directory}/site.conf;
}
`;
    fs.writeFileSync(path.join(directory, 'nginx.conf'), main);
    const command = ['-p', directory, '-e', 'stderr', '-c', path.join(directory, 'nginx.conf')];
    return { program: '/usr/sbin/nginx', args: command, env: {} };
}

function caddyCommand({ directory, httpPort, port, upstream, certificate }) {
    return {
        program: '/usr/bin/caddy',
        args: ['run', '--config', path.join(kFolder, 'Caddyfile'), '--adapter', 'caddyfile'],
        env: {
            HOME: directory,
            XDG_CONFIG_HOME: path.join(directory, 'config'),
            XDG_DATA_HOME: path.join(directory, 'data'),
            PROXY_ADMIN: 'off',
            PROXY_SITE: 'localhost',
            PROXY_TLS: `tls ${certificate.certificate} ${certificate.key}`,
            PROXY_UPSTREAM: upstream,
            PROXY_HTTP_PORT: String(httpPort),
            PROXY_HTTPS_PORT: String(port),
        },
    };
}

const kCommands = { nginx: nginxCommand, caddy: caddyCommand };

const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));

export class TlsProxy {
    // `kind` is nginx or caddy, `upstream` HOST:PORT of the server behind it.
    static async start(kind, upstream) {
        const proxy = new TlsProxy();
        proxy.directory = temporaryDirectory(`nave-${kind}`);
        const certificate = await makeCertificate(proxy.directory);
        proxy.httpPort = await freePort();
        proxy.port = await freePort();
        proxy.url = `https://localhost:${proxy.port}`;
        proxy.authority = certificate.authority;
        const { program, args, env } = kCommands[kind]({ ...proxy, upstream, certificate });
        proxy.log = '';
        proxy.child = spawn(program, args, {
            env: { PATH: process.env.PATH, ...env },
            stdio: ['ignore', 'pipe', 'pipe'],
        });
        running.add(proxy.child);
        proxy.exited = new Promise((resolve) => {
            proxy.child.once('exit', () => {
                running.delete(proxy.child);
                resolve();
            });
        });
        for (const stream of [proxy.child.stdout, proxy.child.stderr]) {
            stream.setEncoding('utf8');
            stream.on('data', (text) => (proxy.log += text));
        }
        try {
            await until(() => proxy.answers(), { what: `${kind} listens` });
        } catch (error) {
            throw new Error(`${kind} did not start: ${proxy.log.slice(-2000)}`, { cause: error });
        }
        return proxy;
    }

    answers() {
        return new Promise((resolve, reject) => {
            const socket = net.connect(this.port, '127.0.0.1');
            socket.once('connect', () => {
                socket.destroy();
                resolve(true);
            });
            socket.once('error', reject);
        });
    }

    // What a client needs to connect, from an address of its own when one is named.
    transport(localAddress) {
        return { ca: this.authority, family: 4, localAddress };
    }

    async finish() {
        this.child.kill('SIGTERM');
        const timer = setTimeout(() => this.child.kill('SIGKILL'), 10_000);
        await this.exited;
        clearTimeout(timer);
        fs.rmSync(this.directory, { recursive: true, force: true });
    }
}

export function proxyMissing(kind) {
    const program = { nginx: '/usr/sbin/nginx', caddy: '/usr/bin/caddy' }[kind];
    const missing = fs.existsSync(program) ? undefined : `${program} is not installed`;
    if (missing && process.env.NAVE_REQUIRE_SERVICES === '1') {
        throw new Error(`a proxy is required: ${missing}`);
    }
    if (missing) {
        console.error(`*** SKIPPED: ${missing}`);
    }
    return missing ?? false;
}
