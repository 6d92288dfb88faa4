// Light, dark, or as the system says. The choice is kept in localStorage; dashboard/public/theme.js
// applies it before the first paint.
import { createStore } from './store.ts';

export const themes = ['system', 'light', 'dark'] as const;
export type Theme = (typeof themes)[number];

const storageKey = 'nave.theme';

function stored(): Theme {
    try {
        const value = localStorage.getItem(storageKey);
        return themes.find((theme) => theme === value) ?? 'system';
    } catch {
        return 'system';
    }
}

export const themeStore = createStore<Theme>(stored());

export function setTheme(theme: Theme): void {
    const root = document.documentElement;
    if (theme === 'system') {
        delete root.dataset['theme'];
    } else {
        root.dataset['theme'] = theme;
    }
    try {
        if (theme === 'system') {
            localStorage.removeItem(storageKey);
        } else {
            localStorage.setItem(storageKey, theme);
        }
    } catch {
        // Storage may be forbidden; the choice then lasts as long as the page.
    }
    themeStore.set(theme);
}

// Changes whenever the colours on the page do; canvases repaint on it.
export const paletteStore = createStore(0);

export function watchPalette(): void {
    const changed = () => paletteStore.set(paletteStore.get() + 1);
    themeStore.subscribe(changed);
    for (const query of ['(prefers-color-scheme: dark)', '(prefers-contrast: more)']) {
        matchMedia(query).addEventListener('change', changed);
    }
}
