// Assertions on answers, with the answer in the message.
import assert from 'node:assert/strict';

// "200", "404 SHADE_NOT_FOUND"...; returns the parsed body, or undefined when there is none.
export function expectOutcome(response, expected, note = '') {
    assert.equal(
        response.outcome,
        String(expected),
        `${note} ${response.text.slice(0, 600)}`.trim(),
    );
    return response.bytes.length > 0 ? response.json : undefined;
}

export const expectError = (response, status, code, note) =>
    expectOutcome(response, `${status} ${code}`, note).error;

// A refusal that blames one member.
export function expectField(response, field, status = 400) {
    const error = expectError(response, status, 'SHADE_VALIDATION');
    assert.equal(error.details?.field, field, JSON.stringify(error));
    return error;
}

// All values different; returns how many.
export function expectDistinct(values, what) {
    const seen = new Set();
    for (const value of values) {
        assert.ok(!seen.has(value), `${what}: ${value} was handed out twice`);
        seen.add(value);
    }
    return seen.size;
}

export const sorted = (numbers) => [...numbers].sort((a, b) => a - b);
