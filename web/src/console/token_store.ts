// Operator tokens, one per page, for as long as the browser tab lives. Never in a URL, a cookie or
// localStorage.

function keyOf(page: string): string {
    return `nave.token.${page}`;
}

// Used when sessionStorage is forbidden: the token then lives as long as the document.
const fallback = new Map<string, string>();

export function loadToken(page: string): string | null {
    try {
        return sessionStorage.getItem(keyOf(page)) ?? fallback.get(page) ?? null;
    } catch {
        return fallback.get(page) ?? null;
    }
}

export function saveToken(page: string, token: string): void {
    try {
        sessionStorage.setItem(keyOf(page), token);
    } catch {
        fallback.set(page, token);
    }
}

export function forgetToken(page: string): void {
    fallback.delete(page);
    try {
        sessionStorage.removeItem(keyOf(page));
    } catch {
        // Nothing was stored.
    }
}
