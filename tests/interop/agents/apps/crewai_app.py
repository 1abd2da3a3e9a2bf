"""An app that knows nothing of otel-cost: a crew of two."""

from crewai import Agent, Crew, Task

agents = [Agent(role=role, goal="g", backstory="b", llm="openai/gpt-4o") for role in ("planner", "critic")]
Crew(agents=agents, tasks=[Task(description="d", expected_output="o", agent=agent) for agent in agents]).kickoff()
