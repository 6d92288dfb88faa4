// The API description as the judge of responses: finds the operation a request belongs to and
// checks status, content type, headers and body of the answer against it. An answer that is not
// described is a failure.
import fs from 'node:fs';
import Ajv2020 from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import YAML from 'yaml';

export const kDescriptionFile = new URL('../../src/prekeys/openapi.yaml', import.meta.url);
const kMethods = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch', 'trace'];
const kSchemaPrefix = '#/components/schemas/';

// A schema as the judge uses it: references lead to schemas of their own, and objects are closed.
// The description itself leaves them open, so that clients survive a new member; the tests must
// notice one that nobody described.
function judged(node) {
    if (Array.isArray(node)) {
        return node.map(judged);
    }
    if (node === null || typeof node !== 'object') {
        return node;
    }
    const out = Object.fromEntries(
        Object.entries(node).map(([name, value]) => [name, judged(value)]),
    );
    if (typeof out.$ref === 'string' && out.$ref.startsWith(kSchemaPrefix)) {
        out.$ref = `nave:${out.$ref.slice(kSchemaPrefix.length)}`;
    }
    if (out.type === 'object' && out.properties && out.additionalProperties === undefined) {
        out.additionalProperties = false;
    }
    return out;
}

export class ApiDescription {
    static load(file = kDescriptionFile) {
        return new ApiDescription(YAML.parse(fs.readFileSync(file, 'utf8')));
    }

    constructor(document) {
        this.document = document;
        this.ajv = new Ajv2020({
            strict: true,
            strictRequired: false,
            strictTypes: false,
            allErrors: true,
        });
        addFormats(this.ajv);
        this.ajv.addFormat('int32', { type: 'number', validate: Number.isInteger });
        this.ajv.addFormat('int64', { type: 'number', validate: Number.isSafeInteger });
        this.ajv.addKeyword('example');
        for (const [name, schema] of Object.entries(document.components.schemas)) {
            this.ajv.addSchema({ ...judged(schema), $id: `nave:${name}` });
        }
        this.compiled = new Map();
        this.templates = Object.keys(document.paths).map((template) => ({
            template,
            // Literal segments win over parameters, as in the server's router.
            literals: template.split('/').filter((part) => part && !part.startsWith('{')).length,
            pattern: this.pattern(template),
        }));
        this.templates.sort((a, b) => b.literals - a.literals);
    }

    pattern(template) {
        const parameters = this.document.paths[template].parameters ?? [];
        const slashes = new Set(
            parameters
                .map((parameter) => this.resolve(parameter))
                .filter((parameter) => parameter['x-may-contain-slashes'])
                .map((parameter) => parameter.name),
        );
        const source = template
            .split(/(\{[^}]+\})/)
            .map((part) => {
                if (!part.startsWith('{')) {
                    return part.replace(/[.*+?^$()|[\]\\]/g, '\\$&');
                }
                return slashes.has(part.slice(1, -1)) ? '.+' : '[^/]+';
            })
            .join('');
        return new RegExp(`^${source}$`);
    }

    resolve(node) {
        let current = node;
        while (current?.$ref) {
            current = current.$ref
                .replace(/^#\//, '')
                .split('/')
                .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
                .reduce((value, part) => value?.[part], this.document);
            if (current === undefined) {
                throw new Error(`unresolved reference ${node.$ref}`);
            }
        }
        return current;
    }

    // All operations: { template, method, operation }.
    operations() {
        return Object.entries(this.document.paths).flatMap(([template, item]) =>
            kMethods
                .filter((method) => item[method])
                .map((method) => ({ template, method, operation: item[method] })),
        );
    }

    match(path) {
        return this.templates.find(({ pattern }) => pattern.test(path))?.template;
    }

    // A validation function for the schema at a JSON pointer given in parts.
    schemaAt(...parts) {
        const pointer = JSON.stringify(parts);
        if (!this.compiled.has(pointer)) {
            const schema = parts.reduce((value, part) => value?.[part], this.document);
            if (schema === undefined) {
                throw new Error(`no schema at ${pointer}`);
            }
            this.compiled.set(pointer, this.ajv.compile(judged(schema)));
        }
        return this.compiled.get(pointer);
    }

    // The pointer of a node after following its $ref, given where it stands.
    locate(parts) {
        let node = this.document;
        let at = [];
        for (const part of parts) {
            node = node?.[part];
            at = [...at, part];
            while (node?.$ref) {
                at = node.$ref
                    .replace(/^#\//, '')
                    .split('/')
                    .map((piece) => piece.replaceAll('~1', '/').replaceAll('~0', '~'));
                node = at.reduce((value, piece) => value?.[piece], this.document);
            }
        }
        return node === undefined ? undefined : { node, at };
    }

    // Throws with every reason why `response` is not what the description promises.
    check(method, target, response) {
        const path = target.split('?', 1)[0];
        const problems = this.problems(method.toLowerCase(), path, response);
        if (problems.length > 0) {
            const body = response.bytes.subarray(0, 2000).toString('utf8');
            throw new Error(
                `${method} ${path} -> ${response.status} is not as described:\n  ` +
                    `${problems.join('\n  ')}\n  body: ${body}`,
            );
        }
    }

    problems(method, path, response) {
        const problems = [];
        if (!response.headers['x-request-id']) {
            problems.push('no X-Request-Id header');
        }
        const template = this.match(path);
        const item = template && this.document.paths[template];
        const described = item?.[method] ?? (method === 'head' ? item?.get : undefined);
        if (!described) {
            return problems.concat(this.undescribedProblems(method, item, response));
        }
        const key = item[method] ? method : 'get';
        const found = this.locate(['paths', template, key, 'responses', String(response.status)]);
        if (!found) {
            problems.push(`status ${response.status} is not described`);
            return problems;
        }
        problems.push(...this.headerProblems(found, response));
        problems.push(...this.bodyProblems(found, method, response));
        return problems;
    }

    // Unknown paths answer 404, unknown methods 405 with Allow; OPTIONS answers 204 with Allow.
    undescribedProblems(method, item, response) {
        if (item && method === 'options' && response.status === 204) {
            return response.headers.allow ? [] : ['OPTIONS answer without Allow'];
        }
        // Refusals that come before routing (malformed request line, too large a head).
        const expected = item ? [405, 400, 413, 431] : [404, 400, 413, 431];
        const problems = [];
        if (!expected.includes(response.status)) {
            problems.push(`undescribed operation answered ${response.status}`);
        }
        if (response.status === 405 && !response.headers.allow) {
            problems.push('405 without Allow');
        }
        if (method !== 'head') {
            problems.push(...this.jsonProblems(['components', 'schemas', 'Error'], response));
        }
        return problems;
    }

    headerProblems({ node, at }, response) {
        const problems = [];
        for (const name of Object.keys(node.headers ?? {})) {
            const header = this.locate([...at, 'headers', name]);
            const value = response.headers[name.toLowerCase()];
            if (value === undefined) {
                if (header.node.required) {
                    problems.push(`header ${name} is missing`);
                }
                continue;
            }
            const type = this.locate([...header.at, 'schema'])?.node.type;
            const typed = type === 'integer' ? Number(value) : value;
            const validate = this.schemaAt(...header.at, 'schema');
            if (!validate(typed)) {
                problems.push(`header ${name}: ${this.ajv.errorsText(validate.errors)}`);
            }
        }
        return problems;
    }

    bodyProblems({ node, at }, method, response) {
        if (method === 'head') {
            return response.bytes.length === 0 ? [] : ['HEAD answer with a body'];
        }
        if (!node.content) {
            return response.bytes.length === 0 ? [] : ['unexpected body'];
        }
        const type = (response.headers['content-type'] ?? '').split(';')[0].trim();
        if (!node.content[type]) {
            return [`content type "${type}" is not described`];
        }
        if (type !== 'application/json') {
            return [];
        }
        return this.jsonProblems([...at, 'content', type, 'schema'], response);
    }

    jsonProblems(schemaAt, response) {
        let value;
        try {
            value = JSON.parse(response.bytes.toString('utf8'));
        } catch (error) {
            return [`body is not JSON: ${error.message}`];
        }
        const validate = this.schemaAt(...schemaAt);
        return validate(value) ? [] : [this.ajv.errorsText(validate.errors, { separator: '; ' })];
    }
}
