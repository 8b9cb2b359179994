import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

// The page is served under a Content-Security-Policy without 'unsafe-inline' and without data: addresses:
// every script, style and picture is a file of its own with a hashed name.
export default defineConfig({
  plugins: [react()],
  base: "/",
  publicDir: false,
  build: {
    outDir: process.env.STUDIO_OUT ?? "../tellurio/server/static",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    manifest: false,
    sourcemap: false,
    reportCompressedSize: false,
  },
  test: {
    environment: "node",
    include: ["src/**/*.test.{ts,tsx}"],
    testTimeout: 60_000, // a busy machine may stall longer than the usual 5 s
  },
});
