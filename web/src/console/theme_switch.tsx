// One button that goes round: system, light, dark.
import { IconMoon, IconSun, IconSystem } from '../ui/icons.tsx';
import { announce } from './announcer.tsx';
import { useStore } from './store.ts';
import { type Theme, setTheme, themeStore, themes } from './theme.ts';

const icons = { system: IconSystem, light: IconSun, dark: IconMoon };
const names: Record<Theme, string> = { system: 'as the system', light: 'light', dark: 'dark' };

export function ThemeSwitch() {
    const theme = useStore(themeStore);
    const next = themes[(themes.indexOf(theme) + 1) % themes.length] ?? 'system';
    const Icon = icons[theme];
    return (
        <button
            type="button"
            class="icon-button"
            data-testid="theme"
            aria-label={`Theme: ${names[theme]}. Change to ${names[next]}`}
            title={`Theme: ${names[theme]}`}
            onClick={() => {
                setTheme(next);
                announce(`Theme: ${names[next]}.`);
            }}
        >
            <Icon />
        </button>
    );
}
