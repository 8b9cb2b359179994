export function App() {
  return (
    <main>
      <h1>Tellurio Studio</h1>
    </main>
  );
}
