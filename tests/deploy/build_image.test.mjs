// scripts/build-image in a scratch checkout with a docker that only notes what it is asked: which tags
// come from what is checked out, what a push refuses, and that the token goes nowhere but to stdin.
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, beforeEach, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { temporaryDirectory } from '../support/server.mjs';

const kScript = fileURLToPath(new URL('../../scripts/build-image', import.meta.url));
const kToken = 'token-that-must-not-be-seen';
const kImage = 'ghcr.io/nave/nave';
const kNoteTaker = `#!/bin/sh
echo "$*" >>"$NOTES"
env >>"$NOTES.env"
case "$1" in
    login) cat >"$NOTES.stdin" ;;
    image) echo something ;;
esac
`;

const scratch = temporaryDirectory('nave-build-image');
after(() => fs.rmSync(scratch, { recursive: true }));

let checkout;
let count = 0;
const git = (...args) =>
    execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@example.org', ...args], {
        cwd: checkout,
        encoding: 'utf8',
    }).trim();

beforeEach(() => {
    count += 1;
    checkout = path.join(scratch, String(count));
    fs.mkdirSync(path.join(checkout, 'scripts'), { recursive: true });
    fs.copyFileSync(kScript, path.join(checkout, 'scripts/build-image'));
    fs.writeFileSync(
        path.join(checkout, 'CMakeLists.txt'),
        'project(nave VERSION 1.2.3 LANGUAGES CXX)\n',
    );
    git('init', '--quiet', '--initial-branch', 'main');
    git('add', '.');
    git('commit', '--quiet', '--message', 'all');
});

function buildImage(args, env = {}) {
    const notes = path.join(scratch, `notes-${count}`);
    for (const file of fs.readdirSync(scratch).filter((name) => name.startsWith(`notes-${count}`))) {
        fs.rmSync(path.join(scratch, file));
    }
    const docker = path.join(scratch, 'docker');
    fs.writeFileSync(docker, kNoteTaker, { mode: 0o755 });
    const { status, stdout, stderr } = spawnSync(path.join(checkout, 'scripts/build-image'), args, {
        env: { PATH: process.env.PATH, DOCKER: docker, NOTES: notes, ...env },
        encoding: 'utf8',
    });
    const read = (file) => (fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '');
    const asked = read(notes).split('\n').filter(Boolean);
    const tags = [...(asked[0] ?? '').matchAll(/--tag (\S+)/g)].map((match) => match[1]);
    return { status, stdout, stderr, asked, tags, stdin: read(`${notes}.stdin`), seen: read(`${notes}.env`) };
}

const pushing = (env = {}) => ({ REGISTRY_USER: 'somebody', REGISTRY_TOKEN: kToken, ...env });

test('on main: main-COMMIT and latest', () => {
    const { tags, asked, status } = buildImage([]);
    assert.equal(status, 0);
    const commit = git('rev-parse', '--short', 'HEAD');
    assert.deepEqual(tags, [`${kImage}:main-${commit}`, `${kImage}:latest`]);
    const wanted = [
        '--target runtime',
        '--build-arg VERSION=1.2.3',
        `--build-arg GIT_SHA=${commit}`,
        `--build-arg SOURCE_DATE_EPOCH=${git('log', '-1', '--format=%ct')}`,
    ];
    for (const option of wanted) {
        assert.ok(asked[0].includes(option), `${option} in ${asked[0]}`);
    }
    assert.ok(!asked.some((line) => line.startsWith('push')));
});

test('at the tag of the version: VERSION and latest; another tag does not count', () => {
    git('tag', 'v9.9.9');
    assert.match(buildImage([]).tags[0], /:main-/);
    git('tag', 'v1.2.3');
    assert.deepEqual(buildImage([]).tags, [`${kImage}:1.2.3`, `${kImage}:latest`]);
    assert.deepEqual(buildImage(['--target', 'minimal']).tags, [
        `${kImage}:1.2.3-minimal`,
        `${kImage}:latest-minimal`,
    ]);
});

test('on another branch: dev, which is not pushed', () => {
    git('checkout', '--quiet', '-b', 'idea');
    assert.deepEqual(buildImage([]).tags, [`${kImage}:dev`]);
    const { status, stderr, asked } = buildImage(['--push'], pushing());
    assert.equal(status, 1);
    assert.match(stderr, /--push is for main and the tag v1\.2\.3/);
    assert.deepEqual(asked, []);
});

test('the owner and the whole name can be set, and options go on to docker', () => {
    const owned = buildImage([], { NAVE_IMAGE_OWNER: 'acme' });
    assert.match(owned.tags[0], /^ghcr\.io\/acme\/nave:main-/);
    const named = buildImage(['--', '--pull'], { NAVE_IMAGE: 'registry.example.org/team/nave' });
    assert.match(named.tags[1], /^registry\.example\.org\/team\/nave:latest$/);
    assert.match(named.asked[0], / --pull \.$/);
});

test('a push logs in by stdin, pushes every tag, and the token is in no argument, environment or output', () => {
    for (const name of ['REGISTRY_TOKEN', 'GITEA_TOKEN', 'GITHUB_TOKEN']) {
        const env = { REGISTRY_USER: 'somebody', [name]: kToken };
        const { status, stdout, stderr, asked, stdin, tags, seen } = buildImage(['--push'], env);
        assert.equal(status, 0, stderr);
        assert.equal(stdin, kToken);
        assert.ok(asked.includes('login --username somebody --password-stdin ghcr.io'));
        assert.deepEqual(
            asked.filter((line) => line.startsWith('push ')),
            tags.map((tag) => `push ${tag}`),
        );
        assert.ok(!(asked.join('\n') + stdout + stderr + seen).includes(kToken));
        assert.match(stdout, /^digest/m);
    }
});

test('a push refuses, before anything is built, what cannot be right', () => {
    const refused = (args, env, reason) => {
        const { status, stderr, asked } = buildImage(['--push', ...args], env);
        assert.equal(status, 1, stderr);
        assert.match(stderr, reason);
        assert.deepEqual(asked, []);
    };
    refused([], { REGISTRY_USER: 'somebody' }, /REGISTRY_TOKEN/);
    refused([], { REGISTRY_TOKEN: kToken }, /REGISTRY_USER/);
    refused(['--tag', 'nave:local'], pushing(), /names no registry/);
    fs.writeFileSync(path.join(checkout, 'changed'), '');
    refused([], pushing(), /clean checkout/);
});

test('anything else is a usage error', () => {
    for (const args of [['--target', 'huge'], ['--tag'], ['--sign'], ['somewhere']]) {
        const { status, stderr, asked } = buildImage(args);
        assert.equal(status, 2, args.join(' '));
        assert.match(stderr, /scripts\/build-image \[--target/);
        assert.deepEqual(asked, []);
    }
});
