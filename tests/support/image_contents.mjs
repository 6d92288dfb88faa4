// What an image consists of, read from `docker save`, and what must not be in it.
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { temporaryDirectory } from './server.mjs';

// { config, layers: [[entry]], compressed } where an entry is { path, type, mode, uid, gid, size, time }
// and `compressed` the bytes of `docker save IMAGE | gzip -6`. `look(layerFile)` is called for each
// layer's tar while it is there.
export async function readImage(docker, image, look = () => {}) {
    const directory = temporaryDirectory('nave-image');
    try {
        const tar = path.join(directory, 'image.tar');
        await docker.run(['save', '--output', tar, image], { deadlineMs: 300_000 });
        const compressed = Number(
            execFileSync('sh', ['-c', 'gzip -6 <"$1" | wc -c', 'sh', tar], { encoding: 'utf8' }),
        );
        execFileSync('tar', ['-xf', tar, '-C', directory]);
        const json = (name) => JSON.parse(fs.readFileSync(path.join(directory, name), 'utf8'));
        const [{ Config: config, Layers: layers }] = json('manifest.json');
        return {
            config: json(config),
            compressed,
            layers: layers.map((layer) => {
                const file = path.join(directory, layer);
                look(file);
                return entriesOf(file);
            }),
        };
    } finally {
        fs.rmSync(directory, { recursive: true });
    }
}

function entriesOf(tar) {
    const listing = execFileSync('tar', ['-tvf', tar, '--numeric-owner', '--full-time', '--utc'], {
        encoding: 'utf8',
        maxBuffer: 64 << 20,
    });
    return listing
        .split('\n')
        .filter(Boolean)
        .map((line) => {
            const fields = /^(.)(\S+) (\d+)\/(\d+) +(\d+|\d+,\d+) (\S+ \S+) (.*)$/.exec(line);
            const [, type, mode, uid, gid, size, time, rest] = fields;
            const name = rest.split(' -> ')[0].split(' link to ')[0].replace(/^\.?\//, '');
            return {
                path: `/${name}`.replace(/(.)\/$/, '$1'),
                type,
                mode,
                uid: Number(uid),
                gid: Number(gid),
                size: Number(size),
                time,
            };
        });
}

// The files of the container: later layers hide what earlier ones had.
export function filesOf(layers) {
    const files = new Map();
    for (const layer of layers) {
        for (const { path: name } of layer) {
            const hidden = /^(.*\/)\.wh\.(.+)$/.exec(name);
            if (hidden) {
                const gone = hidden[1] + hidden[2];
                [...files.keys()]
                    .filter((file) => file === gone || file.startsWith(`${gone}/`))
                    .forEach((file) => files.delete(file));
            }
        }
        for (const entry of layer.filter(({ path: name }) => !name.includes('/.wh.'))) {
            files.set(entry.path, entry);
        }
    }
    return [...files.values()];
}

const kUnwanted = {
    compiler: /\/(clang|gcc|g\+\+|cc1|cc1plus|c\+\+|ld\.lld|cmake|ninja|ccache|as|make)(-[\d.]+)?$/,
    'build tool': /\/(node|nodejs|npm|npx|git)$|\/node_modules\//,
    header: /^\/usr\/include\/.+\.h(pp)?$/,
    'package cache': /^\/var\/cache\/apt\/.+\.(deb|bin)$|^\/root\/\.(npm|cache)\//,
    'package list': /^\/var\/lib\/apt\/lists\/.*(Packages|InRelease|Release)(\.\w+)?$/,
    'source code': /\.(cc|cpp|ts|tsx)$|^\/src\//,
    secret: /(^|\/)(\.env(\..*)?|id_(rsa|ed25519|ecdsa)|.*\.key|\.npmrc|\.netrc|\.git-credentials|\.docker)$|^\/run\/secrets\/|\/\.git\//,
    'extra authority': /^\/usr\/local\/share\/ca-certificates\/./,
    'left-over data': /^\/(data|tmp|root|home)\/.+/,
};
// Debian's own: comparisons of the user's shell set-up, and a folder of its keys.
const kDebians = /^\/root\/\.(bashrc|profile)$|^\/usr\/share\/keyrings\//;

const kUnwantedInMinimal = {
    shell: /\/(ba|da|k|z|a)?sh$|\/busybox$/,
    'package manager': /\/(apt|apt-get|dpkg|apk|rpm)$|^\/var\/lib\/dpkg\//,
};

// [{ kind, path }] of everything in any layer that must not be there; what a later layer deletes counts,
// because it is still in the image.
export function unwantedIn(layers, { minimal = false } = {}) {
    const kinds = { ...kUnwanted, ...(minimal ? kUnwantedInMinimal : {}) };
    return layers.flat().flatMap((entry) => {
        const found = Object.entries(kinds)
            .filter(([, pattern]) => pattern.test(entry.path) && !kDebians.test(entry.path))
            .filter(() => entry.type !== 'd')
            .map(([kind]) => ({ kind, path: entry.path }));
        return found;
    });
}

// Programs of the container that run with more rights than who starts them.
export const setuidIn = (layers) =>
    filesOf(layers)
        .filter(({ type, mode }) => type === '-' && /s/i.test(mode))
        .map(({ path: name }) => name);

const kPrivate = /-----BEGIN [A-Z ]*PRIVATE KEY-----|remote_storage *=|_authToken=/;
const kTextMax = 1 << 20;

// Files of a layer's tar whose text gives away a key or a build's configuration. Libraries and programs
// are left out: those that parse keys hold the words.
export function confidingIn(tar) {
    const directory = temporaryDirectory('nave-layer');
    try {
        const without = ['usr/lib', 'usr/bin', 'usr/sbin', 'usr/local/bin', 'dev'];
        execFileSync('tar', [
            ...['-xf', tar, '-C', directory, '--no-same-owner'],
            ...without.map((name) => `--exclude=${name}/*`),
        ]);
        return fs
            .readdirSync(directory, { recursive: true, withFileTypes: true })
            .filter((entry) => entry.isFile())
            .map((entry) => path.join(entry.parentPath, entry.name))
            .filter((file) => fs.statSync(file).size <= kTextMax)
            .filter((file) => kPrivate.test(fs.readFileSync(file, 'latin1')))
            .map((file) => file.slice(directory.length));
    } finally {
        fs.rmSync(directory, { recursive: true });
    }
}
