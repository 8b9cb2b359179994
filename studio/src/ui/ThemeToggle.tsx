import { useStore } from "../lib/store";
import { chooseTheme, theme, type Theme } from "../lib/theme";
import { Icon, type IconName } from "./Icon";

const NEXT: Record<Theme, { next: Theme; icon: IconName; word: string }> = {
  system: { next: "light", icon: "auto", word: "as the system" },
  light: { next: "dark", icon: "sun", word: "light" },
  dark: { next: "system", icon: "moon", word: "dark" },
};

export function ThemeToggle() {
  const { next, icon, word } = NEXT[useStore(theme)];
  return (
    <button type="button" className="quiet" onClick={() => chooseTheme(next)} title={`Theme: ${word}`}>
      <Icon name={icon} />
      <span className="sr">Theme: {word}. Change to {NEXT[next].word}.</span>
    </button>
  );
}
