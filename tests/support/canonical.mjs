// RFC 8785 (JCS): the one spelling of a JSON value that scheme A signs. ECMAScript's own number and
// string output is what the RFC prescribes, and its default sort is by UTF-16 code units, so only
// the member order has to be added.

export function canonical(value) {
    if (value === null || typeof value !== 'object') {
        const text = JSON.stringify(value);
        if (text === undefined) {
            throw new TypeError(`not a JSON value: ${typeof value}`);
        }
        return text;
    }
    if (Array.isArray(value)) {
        return `[${value.map(canonical).join(',')}]`;
    }
    const members = Object.keys(value)
        .filter((name) => value[name] !== undefined)
        .sort()
        .map((name) => `${JSON.stringify(name)}:${canonical(value[name])}`);
    return `{${members.join(',')}}`;
}

// What scheme A signs: the body without its `signature`.
export function signedText(body) {
    const { signature, ...rest } = body;
    return canonical(rest);
}
