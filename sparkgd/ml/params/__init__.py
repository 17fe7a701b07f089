"""The params of estimators and models, what each allows, and what they mean in NumPy's spelling."""
